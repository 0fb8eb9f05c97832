from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.data import Observation, View
from hamster.geometry import Camera
from hamster.path import Path2D
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.actor import FlowActor, crowded
from hamster.policy.flow.inputs import Inputs
from hamster.policy.training.presets import PRESETS

Seen = tuple[Observation, Path2D]


def _moved(observation: Observation, by: np.ndarray) -> Observation:
    view = observation.views["front"]
    assert view.camera is not None
    camera_pose, tool = view.camera.world_from_camera.copy(), np.array(observation.tool_pose_world)
    camera_pose[:3, 3] += by
    tool[:3, 3] += by
    camera = Camera(view.camera.intrinsics, camera_pose, view.camera.width, view.camera.height)
    return replace(observation, views={"front": View(view.rgb, view.depth_m, camera)}, tool_pose_world=tool)


def _look(policy: ActorPolicy, observation: Observation, path: Path2D | None) -> Inputs:
    inputs: Inputs = policy.actor.prepare(policy.scene(observation, path))
    return inputs


def _inputs(actor: FlowActor, seen: Seen, path: bool = True) -> Inputs:
    return Inputs.stack([_look(ActorPolicy(actor), seen[0], seen[1] if path else None)])


def test_moving_scene_path_and_tool_moves_the_action_with_them(actor: FlowActor, seen: Seen) -> None:
    by = np.array([0.31, -0.57, 0.22])
    here = ActorPolicy(actor).act(*seen)
    there = ActorPolicy(actor).act(_moved(seen[0], by), seen[1])
    np.testing.assert_allclose(there.poses[:, :3, 3], here.poses[:, :3, 3] + by, atol=1e-4)
    np.testing.assert_allclose(there.poses[:, :3, :3], here.poses[:, :3, :3], atol=1e-3)


def test_cached_context_gives_the_same_flow_as_encoding_in_each_step(actor: FlowActor, seen: Seen) -> None:
    inputs, noise = _inputs(actor, seen), torch.randn(1, 4, 1, 9)
    x, steps = noise, actor.config.steps
    with torch.inference_mode():
        for step in range(steps):
            x = x + actor.velocity(x, torch.full((1, 4), step / steps), actor.encode(inputs)) / steps
        torch.testing.assert_close(actor.flow(noise, actor.encode(inputs), torch.Generator()), x)


def test_samples_of_one_scene_do_not_see_each_other(actor: FlowActor, seen: Seen) -> None:
    noise = torch.randn(1, 4, 1, 9)
    with torch.inference_mode():
        encoded = actor.encode(_inputs(actor, seen))
        together = actor.flow(noise, encoded, torch.Generator())
        alone = torch.cat([actor.flow(noise[:, i : i + 1], encoded, torch.Generator()) for i in range(4)], 1)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_the_path_matters_and_what_is_switched_off_does_not(actor: FlowActor, seen: Seen) -> None:
    with torch.inference_mode():
        with_path = actor.encode(_inputs(actor, seen)).anchor
        without = _inputs(actor, seen, path=False)
        nonsense = replace(without, waypoints=without.waypoints + 5, waypoint_features=without.waypoint_features + 5)
        torch.testing.assert_close(actor.encode(nonsense).anchor, actor.encode(without).anchor)
        assert (with_path - actor.encode(without).anchor).norm() > 1e-4


def test_conditioners_are_silent_at_first(seen: Seen) -> None:
    torch.manual_seed(0)
    actor = FlowActor(PRESETS["debug"].actor).eval()
    inputs = _inputs(actor, seen)
    tokens = actor.conditioners["tokens"].tokens(inputs)
    assert tokens is not None and not tokens.features.any()
    told = actor.conditioners["foveas"].glimpse_features(inputs)
    assert told is not None and not told.any()


@pytest.mark.parametrize("outlier", [0, 3])
def test_outliers_do_not_count_and_the_crowd_is_averaged(outlier: int) -> None:
    actions = torch.randn(2, 8, 3, 9) * 0.01
    actions[:, outlier] += 10
    crowd = actions[:, [i for i in range(8) if i != outlier]].mean(1)
    torch.testing.assert_close(crowded(actions), crowd, atol=1e-3, rtol=0)
    torch.testing.assert_close(crowded(actions.flip(1)), crowded(actions))


def test_of_two_ways_to_go_the_likelier_one_is_taken_not_the_middle() -> None:
    actions = torch.randn(1, 8, 1, 9) * 0.05
    actions[:, :5, 0, 0] += 2
    actions[:, 5:, 0, 0] -= 2
    torch.testing.assert_close(crowded(actions)[0, 0, 0], actions[0, :5, 0, 0].mean(), atol=0.02, rtol=0)
    one = actions[:, :1]
    torch.testing.assert_close(crowded(one), one[:, 0])


def test_what_is_executed_moves_no_farther_than_the_samples_do() -> None:
    torch.manual_seed(0)
    for spread in (0.05, 0.2):
        actions = torch.randn(50, 8, 1, 9) * spread
        moved = actions + torch.randn_like(actions) * 0.005
        assert (crowded(moved) - crowded(actions)).norm(dim=-1).max() < 0.05
