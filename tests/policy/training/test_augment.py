from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Observation, View
from hamster.geometry import pose
from hamster.path import Gripper, Path2D
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.policy_input import PolicyInput, RobotState
from hamster.policy.training.augment import NONE, AugmentConfig, augment, augment_path, augment_view
from hamster.policy.training.goal import Goal

Moment = tuple[Observation, Path2D]
LONG = Path2D(np.linspace([0.2, 0.2], [0.8, 0.6], 41), np.repeat([-1, 0, 1], [10, 20, 11]).astype(np.int8))


def _scene(moment: Moment) -> tuple[PolicyInput, Goal]:
    observation, path = moment
    assert observation.tool_pose_world is not None
    body = RobotState(observation.tool_pose_world, 1.0, True)
    scene = PolicyInput(observation.views, body, PathPrompt(replace(path, depth_m=None), observation.views["front"]))
    return scene, Goal(observation.tool_pose_world[None] + 0.0, np.array([True]), np.ones(1), False)


def test_nothing_changes_nothing(moment: Moment) -> None:
    scene, goal = _scene(moment)
    same, there = augment(scene, goal, NONE, np.random.default_rng(0))
    view, other = scene.views["front"], same.views["front"]
    np.testing.assert_array_equal(other.rgb, view.rgb)
    np.testing.assert_array_equal(other.depth_m, view.depth_m)
    np.testing.assert_array_equal(there.poses_world, goal.poses_world)
    assert augment_path(LONG, NONE, np.random.default_rng(0)) == LONG


def test_waypoints_are_off_as_the_paper_has_it_and_events_stay() -> None:
    config, rng = replace(NONE, waypoint_noise_std=0.01, omit_waypoint_prob=0.5), np.random.default_rng(0)
    drawn = [augment_path(LONG, config, rng) for _ in range(200)]
    assert {len(path.events) for path in drawn} == {3 - 1}
    assert all(len(LONG) // 4 < len(path) < len(LONG) for path in drawn)
    grasps = np.array([path.uv[path.events[0][0]] - LONG.uv[10] for path in drawn])
    assert 0.005 < grasps.std() < 0.015 and abs(grasps.mean()) < 0.003


def test_a_shift_moves_neighbours_together() -> None:
    rng = np.random.default_rng(1)
    off = np.array([augment_path(LONG, replace(NONE, path_drift_std=0.01), rng).uv - LONG.uv for _ in range(100)])
    assert off.std() > 0.004 and np.abs(np.diff(off, axis=1)).max() < 0.002


def test_a_model_may_know_neither_depth_nor_gripper() -> None:
    deep, rng = replace(LONG, depth_m=np.full(len(LONG), 0.7)), np.random.default_rng(0)
    assert augment_path(deep, replace(NONE, drop_path_depth_prob=1.0), rng).depth_m is None
    assert augment_path(deep, NONE, rng).depth_m is not None
    zero_init = augment_path(deep, replace(NONE, drop_gripper_prob=1.0), rng)
    assert (zero_init.gripper == Gripper.UNKNOWN).all() and len(zero_init) == len(LONG)


def test_depth_gets_noise_and_holes_and_no_surface_where_there_was_none() -> None:
    depth_m = np.full((200, 200), 0.8, np.float32)
    depth_m[:, :50] = 0
    config = replace(NONE, max_depth_noise_std_m=0.001, max_depth_dropout=0.1)
    made = [augment_view(View(np.zeros((200, 200, 3), np.uint8), depth_m), config, np.random.default_rng(i)).depth_m
            for i in range(40)]  # fmt: skip
    moment = np.array(made)
    assert moment.dtype == np.float32 and not moment[:, :, :50].any()
    there = moment[:, :, 50:]
    holes = (there == 0).mean((1, 2))
    assert holes.max() < 0.12 and 0.02 < holes.mean() < 0.08
    noise = [frame[frame > 0].std() for frame in there]
    assert max(noise) < 0.0011 and 0.0003 < np.mean(noise) < 0.0007
    assert abs(there[there > 0].mean() - 0.8) < 1e-4


def test_other_light_keeps_the_order_of_brightness(moment: Moment) -> None:
    view = moment[0].views["front"]
    other = augment_view(view, replace(NONE, color_jitter=0.3), np.random.default_rng(5))
    assert other.depth_m is view.depth_m and not np.array_equal(other.rgb, view.rgb)
    for channel in range(3):
        before, after = view.rgb[..., channel].ravel(), other.rgb[..., channel].ravel()
        assert (np.diff(after[np.argsort(before, kind="stable")].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("offset_m", "calibrated", "mirrored"), [(0.0, True, True), (0.1, True, False), (0.0, False, False)]
)
def test_who_knows_no_camera_is_mirrored_only_where_that_leaves_it_in_place(
    moment: Moment, offset_m: float, calibrated: bool, mirrored: bool
) -> None:
    scene, goal = _scene(moment)
    view = scene.views["front"]
    assert view.camera is not None
    camera = replace(view.camera, world_from_camera=pose([0, offset_m, 0]) @ view.camera.world_from_camera)
    view = replace(view, camera=camera if calibrated else None)
    scene = replace(scene, views={"front": view}, prompt=PathPrompt(moment[1], view))
    config = AugmentConfig(mirror_prob=1.0, color_jitter=0.0, fixed_camera=True)
    other, there = augment(scene, goal, config, np.random.default_rng(0))
    assert np.array_equal(other.views["front"].rgb, view.rgb[:, ::-1]) == mirrored
    y = goal.poses_world[:, 1, 3]
    np.testing.assert_array_equal(there.poses_world[:, 1, 3], -y if mirrored else y)  # never turned


def test_a_stale_path_of_a_camera_that_moved_is_seen_from_where_it_is_now(moment: Moment) -> None:
    scene, _ = _scene(moment)
    assert scene.prompt is not None
    view = scene.views["front"]
    assert view.camera is not None
    now = replace(view.camera, world_from_camera=pose([0, 0.05, 0.02]) @ view.camera.world_from_camera)
    path = scene.prompt.seen_from(now)
    at = scene.prompt.progress
    expected = now.project(scene.prompt.points_world(at))[0] / now.size_px
    for place in expected:
        assert np.linalg.norm(path.uv - place, axis=-1).min() < 1e-6
