from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.data import Observation, View
from hamster.geometry import Camera
from hamster.path import Path2D
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.flow.model import FlowActor, mean_shift_mode
from hamster.policy.policy_input import PointBatch
from hamster.policy.training.presets import PRESETS

Moment = tuple[Observation, Path2D]


def _moved(observation: Observation, by: np.ndarray) -> Observation:
    view = observation.views["front"]
    assert view.camera is not None
    camera_pose, tool = view.camera.world_from_camera.copy(), np.array(observation.tool_pose_world)
    camera_pose[:3, 3] += by
    tool[:3, 3] += by
    camera = Camera(view.camera.intrinsics, camera_pose, view.camera.width, view.camera.height)
    return replace(observation, views={"front": View(view.rgb, view.depth_m, camera)}, tool_pose_world=tool)


def _look(policy: ActorPolicy, observation: Observation, path: Path2D | None) -> FlowInputs:
    inputs: FlowInputs = policy.actor.preprocess(policy.make_input(observation, path))
    return inputs


def _shifted(points: dict[str, PointBatch]) -> dict[str, PointBatch]:
    return {name: PointBatch(p.positions + 5, p.features + 5, p.valid) for name, p in points.items()}


def _inputs(actor: FlowActor, moment: Moment, path: bool = True) -> FlowInputs:
    return FlowInputs.stack([_look(ActorPolicy(actor), moment[0], moment[1] if path else None)])


def test_moving_scene_path_and_tool_moves_the_action_with_them(actor: FlowActor, moment: Moment) -> None:
    by = np.array([0.31, -0.57, 0.22])
    here = ActorPolicy(actor).act(*moment)
    there = ActorPolicy(actor).act(_moved(moment[0], by), moment[1])
    np.testing.assert_allclose(there.poses[:, :3, 3], here.poses[:, :3, 3] + by, atol=1e-4)
    np.testing.assert_allclose(there.poses[:, :3, :3], here.poses[:, :3, :3], atol=1e-3)


def test_cached_context_gives_the_same_flow_as_encoding_in_each_step(actor: FlowActor, moment: Moment) -> None:
    inputs, noise = _inputs(actor, moment), torch.randn(1, 4, 1, 9)
    x, steps = noise, actor.config.steps
    with torch.inference_mode():
        for step in range(steps):
            x = x + actor.predict_velocity(x, torch.full((1, 4), step / steps), actor.encode(inputs)) / steps
        torch.testing.assert_close(actor.sample_actions(noise, actor.encode(inputs), torch.Generator()), x)


def test_samples_of_one_scene_do_not_see_each_other(actor: FlowActor, moment: Moment) -> None:
    noise = torch.randn(1, 4, 1, 9)
    with torch.inference_mode():
        encoded = actor.encode(_inputs(actor, moment))
        together = actor.sample_actions(noise, encoded, torch.Generator())
        alone = torch.cat([actor.sample_actions(noise[:, i : i + 1], encoded, torch.Generator()) for i in range(4)], 1)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_the_path_matters_and_what_is_switched_off_does_not(actor: FlowActor, moment: Moment) -> None:
    with torch.inference_mode():
        with_path = actor.encode(_inputs(actor, moment)).anchor
        without = _inputs(actor, moment, path=False)
        nonsense = replace(without, points=_shifted(without.points))
        torch.testing.assert_close(actor.encode(nonsense).anchor, actor.encode(without).anchor)
        assert (with_path - actor.encode(without).anchor).norm() > 1e-4


def test_conditioners_are_silent_at_first(moment: Moment) -> None:
    torch.manual_seed(0)
    actor = FlowActor(PRESETS["debug"].actor).eval()
    inputs = _inputs(actor, moment)
    tokens = actor.conditioners["tokens"].tokens(inputs)
    assert tokens is not None and not tokens.features.any()
    features = actor.conditioners["foveas"].crop_features(inputs)
    assert features is not None and not features.any()


@pytest.mark.parametrize("outlier", [0, 3])
def test_outliers_do_not_count_and_the_crowd_is_averaged(outlier: int) -> None:
    actions = torch.randn(2, 8, 3, 9) * 0.01
    actions[:, outlier] += 10
    crowd = actions[:, [i for i in range(8) if i != outlier]].mean(1)
    torch.testing.assert_close(mean_shift_mode(actions), crowd, atol=1e-3, rtol=0)
    torch.testing.assert_close(mean_shift_mode(actions.flip(1)), mean_shift_mode(actions))


def test_of_two_ways_to_go_the_likelier_one_is_taken_not_the_middle() -> None:
    actions = torch.randn(1, 8, 1, 9) * 0.05
    actions[:, :5, 0, 0] += 2
    actions[:, 5:, 0, 0] -= 2
    torch.testing.assert_close(mean_shift_mode(actions)[0, 0, 0], actions[0, :5, 0, 0].mean(), atol=0.02, rtol=0)
    one = actions[:, :1]
    torch.testing.assert_close(mean_shift_mode(one), one[:, 0])


def test_what_is_executed_moves_no_farther_than_the_samples_do() -> None:
    torch.manual_seed(0)
    for spread in (0.05, 0.2):
        actions = torch.randn(50, 8, 1, 9) * spread
        moved = actions + torch.randn_like(actions) * 0.005
        assert (mean_shift_mode(moved) - mean_shift_mode(actions)).norm(dim=-1).max() < 0.05
