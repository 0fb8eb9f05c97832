"""Registered policies that are ready as they are, beside types that are trained (`test_registry.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import hamster
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.identity import run_identity
from hamster.policy.actor import Actor
from hamster.policy.config import ActorConfig
from hamster.policy.load import find_policy, policy_names
from hamster.policy.registry import POLICY_TYPES


class Still:
    """Stays where it is."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def reset(self) -> None:
        pass

    def act(self, observation, path, instruction=""):
        return hamster.ActionChunk(observation.tool_pose_world[None], np.array([True]))


@dataclass(frozen=True)
class SmallConfig(ActorConfig):
    type: ClassVar[str] = "small"
    width: int = 8


class SmallActor(Actor):
    config_class = SmallConfig

    def __init__(self, config):
        super().__init__()
        self.config = config

    preprocess = compute_loss = predict = None


@pytest.fixture(autouse=True)
def registry():
    before = dict(POLICY_TYPES._entries)
    yield
    POLICY_TYPES._entries = before
    POLICY_TYPES._loaded.clear()


def test_a_ready_policy_is_loaded_by_its_name():
    hamster.register_policy("still", Still)
    policy = hamster.load_policy("still", device="cpu", dtype="bfloat16")
    assert isinstance(policy, Still) and policy.device == "cpu"
    assert "still" in policy_names() and "flow-nano" in policy_names()
    with pytest.raises(ValueError, match="'still' is registered code: it has no checkpoint"):
        find_policy("still")


def test_an_object_may_be_registered_itself():
    still = hamster.register_policy("the-one", Still())
    assert hamster.load_policy("the-one") is still


def test_a_type_is_loaded_from_a_checkpoint_only():
    hamster.register_policy("small", SmallActor)
    with pytest.raises(ValueError, match="'small' is a policy type: train one"):
        hamster.load_policy("small")


@pytest.mark.parametrize("value", [3, SmallConfig])
def test_what_is_no_policy_is_refused_when_it_is_registered(value):
    with pytest.raises(ValueError, match=r"no subclass of hamster.policy.actor.Actor, and has no act\(\)"):
        hamster.register_policy("odd", value)


@pytest.mark.parametrize(
    ("factory", "words"),
    [(lambda: object(), "has no method act and no reset"), (lambda needed: Still(), "cannot be made with no options")],
)
def test_what_makes_no_policy_is_one_line(factory, words):
    hamster.register_policy("odd", factory)
    with pytest.raises(ValueError, match=words):
        hamster.load_policy("odd")


def test_an_unknown_type_names_the_way_out(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"type": "theirs", "actor": {}}))
    with pytest.raises(ValueError, match=r"unknown policy type 'theirs' in .*config\.json; .*--import FILE\.py"):
        hamster.load_policy(tmp_path)


def test_the_code_of_a_policy_is_part_of_a_runs_identity(tmp_path):
    hamster.register_policy("still", Still)
    assert run_identity(EvalConfig(tmp_path, policy="still"))["policy code"]
    assert "policy code" not in run_identity(EvalConfig(tmp_path, policy="flow-nano"))
    hamster.register_policy("small", SmallActor)
    (tmp_path / "config.json").write_text(json.dumps({"type": "small", "actor": {}}))
    (tmp_path / "model.safetensors").touch()
    assert run_identity(EvalConfig(tmp_path, policy=str(tmp_path)))["policy code"]
