"""Policy types that somebody else registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import synthetic
import torch
from torch import Tensor, nn

from hamster.data import Observation
from hamster.path import Path2D
from hamster.policy import load_policy
from hamster.policy.actor import Actor, ActorConfig, PolicyInput, Prediction, Target
from hamster.policy.policy_input import Proprioception, proprioception_features
from hamster.policy.registry import POLICY_TYPES, config_from_json
from hamster.policy.training.presets import preset, preset_names
from hamster.policy.training.train import train_policy

Moment = tuple[Observation, Path2D]


@dataclass(frozen=True)
class StillConfig(ActorConfig):
    type: ClassVar[str] = "still"
    needs_depth: ClassVar[bool] = False

    width: int = 8


class StillActor(Actor[StillConfig, Proprioception]):
    """Learns one displacement for all scenes."""

    config_class = StillConfig

    def __init__(self, config: StillConfig) -> None:
        super().__init__()
        self.config = config
        self.displacement = nn.Parameter(torch.zeros(3))

    def preprocess(self, policy_input: PolicyInput) -> Proprioception:
        return proprioception_features(policy_input.robot, 1)

    def compute_loss(self, inputs: Proprioception, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        return {"position": (self.displacement - target.position[:, 0]).abs().mean()}

    def predict(self, inputs: Proprioception, generator: torch.Generator) -> Prediction:
        one = inputs.gripper[:, :1]
        position = self.displacement.expand(len(one), 1, 3)
        return Prediction(position, inputs.tool_rotation[:, None], one, one[:, 0] * 0, one * torch.nan, one[:, 0])


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    POLICY_TYPES.register("still", StillActor)
    yield
    POLICY_TYPES._entries.pop("still")


def test_a_registered_type_is_trained_saved_and_loaded_by_its_name(moment: Moment, tmp_path: Path) -> None:
    config = replace(
        preset("still"), steps=4, batch_size=2, warmup_steps=1, num_workers=0, held_out_every=0, bf16=False
    )
    assert config.actor == StillConfig() and "still" in preset_names()
    data = synthetic.write(tmp_path / "demos", {"press": 1}, size=32)
    policy = load_policy(train_policy(config, data, tmp_path / "out"), device="cpu")
    assert isinstance(policy.actor, StillActor) and policy.actor.displacement.any()
    observation, path = moment
    moved = policy.act(observation, path).poses[0, :3, 3] - np.asarray(observation.tool_pose_world)[:3, 3]
    np.testing.assert_allclose(moved, policy.actor.displacement.detach().numpy(), atol=1e-6)
    assert config_from_json({"type": "still", "actor": {"width": 4}}, "config.json") == StillConfig(width=4)


def test_a_name_that_nobody_registered_lists_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"unknown policy type 'stil' in config\.json; there are: flow.*still"):
        config_from_json({"type": "stil", "actor": {}}, "config.json")
    with pytest.raises(ValueError, match=r"unknown policy configuration 'stil'\. Did you mean 'still'\?"):
        preset("stil")


@pytest.mark.parametrize("width", [True, False, 4.0, "4", None, [4], -1, 1 << 40])
def test_a_field_of_another_kind_or_size_is_refused_by_its_name(width: object) -> None:
    with pytest.raises(ValueError, match=r"config\.json: width is .*; it must be"):
        config_from_json({"type": "still", "actor": {"width": width}}, "config.json")


def test_what_is_no_actor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy type 'mine'.*no subclass of hamster\.policy\.actor\.Actor"):
        POLICY_TYPES.register("mine", StillConfig)
    with pytest.raises(ValueError, match="needs `config_class`"):
        POLICY_TYPES.register("mine", type("Mine", (StillActor,), {"config_class": None}))
