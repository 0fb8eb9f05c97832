"""Conditioners that somebody else registers: they are trained, saved and loaded like the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import synthetic
import torch
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.path import Path2D
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.checkpoint import load, save
from hamster.policy.conditioning import (
    CONDITIONERS,
    ChannelConditioner,
    ImageConditioner,
    PointConditioner,
    conditioner_channels,
    draw_conditioner,
)
from hamster.policy.config import ActorConfig
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.path_prompt import PathPoints, PathPrompt
from hamster.policy.registry import config_from_json
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import PRESETS
from hamster.policy.training.train import Run
from hamster.policy.views.config import ViewsConfig

Moment = tuple[Observation, Path2D]


class Border(ImageConditioner):
    """A frame of the colour of the path's progress: none at all without a path."""

    def draw(self, view: View, prompt: PathPrompt) -> View:
        rgb = view.rgb.copy()
        rgb[0] = (255 * prompt.path.uv.mean()).astype(np.uint8)
        return replace(view, rgb=rgb)


class EndDistance(ChannelConditioner):
    """Distance to the path's end, relative to the image."""

    n_channels: ClassVar[int] = 1

    def channels(self, view: View, prompt: PathPrompt | None) -> NDArray[np.float32]:
        height, width = view.rgb.shape[:2]
        v, u = np.mgrid[0:height, 0:width] / max(height, width)
        end = (0.0, 0.0) if prompt is None else prompt.path.uv[-1]
        return np.hypot(u - end[0], v - end[1]).astype(np.float32)[..., None]


class EndPoint(PointConditioner):
    """The path's last point."""

    n_features: ClassVar[int] = 1

    def points(self, prompt: PathPrompt | None) -> PathPoints:
        if prompt is None:
            return PathPoints.none(1, 1)
        return PathPoints(prompt.points_world(np.ones(1)), np.ones((1, 1)), np.ones(1, bool))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for conditioner in (Border, EndDistance, EndPoint):
        CONDITIONERS.register(conditioner.__name__.lower(), conditioner)
    yield
    for conditioner in (Border, EndDistance, EndPoint):
        CONDITIONERS._entries.pop(conditioner.__name__.lower())


ALL = ("border", "enddistance", "endpoint")
CONFIGS: dict[str, Callable[[], ActorConfig]] = {
    "flow": lambda: FlowConfig(
        width=32, heads=2, crop_px=16, image_px=16, encoder_layers=1, decoder_layers=1, conditioners=("foveas", *ALL)
    ),
    "views": lambda: ViewsConfig(points_px=32, view_px=16, width=32, heads=2, layers=2, conditioners=("tokens", *ALL)),
    "image": lambda: ImageConfig(image_px=32, width=32, heads=2, conditioners=("border", "enddistance")),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_registered_conditioner_is_trained_saved_and_loaded(name: str, moment: Moment, tmp_path: Path) -> None:
    config = replace(
        PRESETS["debug"], actor=CONFIGS[name](), batch_size=2, num_workers=0, held_out_every=0, bf16=False, lr=1e-2
    )
    data = synthetic.write(tmp_path / "demos", {"press": 1}, size=48)
    run = Run(config, load_packed_dataset(data, config.actor, tmp_path / "pack", 1), tmp_path / "out")
    own = {key: value for key, value in run.actor.state_dict().items() if "end" in key}
    assert own and any(not value.any() for value in own.values())  # its last layer is zero at first
    before = {key: value.clone() for key, value in own.items()}
    for _ in range(3):
        assert np.isfinite(list(run.advance().values())).all()
    after = run.actor.state_dict()
    assert all(not torch.equal(after[key], before[key]) for key in before if not before[key].any())
    save(tmp_path / "saved", run.actor)
    observation, path = moment
    here, there = (ActorPolicy(actor) for actor in (run.actor, load(tmp_path / "saved")))
    np.testing.assert_array_equal(here.act(observation, path).poses, there.act(observation, path).poses)
    without = ActorPolicy(run.actor).act(observation, None).poses
    assert not np.array_equal(ActorPolicy(run.actor).act(observation, path).poses, without)


def test_an_unknown_conditioner_and_one_of_the_wrong_kind_name_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"unknown conditioner 'tokns'. Did you mean 'tokens'\? There are: .*endpoint"):
        config_from_json({"type": "flow", "actor": {"conditioners": ["tokns"]}}, "config.json")
    with pytest.raises(
        ValueError, match="the image policy cannot use the conditioner 'endpoint'; it can use: tokens, ov"
    ):
        ImageConfig(conditioners=("endpoint",))


def test_what_is_no_conditioner_is_refused_when_it_is_registered() -> None:
    with pytest.raises(ValueError, match=r"'broken'.*no ImageConditioner, ChannelConditioner or PointConditioner"):
        CONDITIONERS.register("broken", Path2D.from_json)


@pytest.mark.parametrize(
    ("base", "members", "function", "words"),
    [
        (
            ImageConditioner,
            {"draw": lambda self, view, prompt: view.rgb},
            draw_conditioner,
            "returned a ndarray; return",
        ),
        (
            ChannelConditioner,
            {"n_channels": 2, "channels": lambda self, view, prompt: np.zeros((3, 3), np.float32)},
            conditioner_channels,
            r"has shape \(3, 3\); return \(H, W, n_channels\)",
        ),
    ],
)
def test_what_a_conditioner_returns_is_checked(moment, base, members, function, words):
    observation, path = moment
    view = next(iter(observation.views.values()))
    CONDITIONERS.register("faulty-of-a-test", type("Faulty", (base,), members))
    try:
        with pytest.raises(ValueError, match=words):
            function("faulty-of-a-test", view, PathPrompt(path, view))
    finally:
        del CONDITIONERS._entries["faulty-of-a-test"]
