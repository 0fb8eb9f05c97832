from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hamster.data import Observation, View
from hamster.geometry import pose
from hamster.path import Gripper, Path2D
from hamster.path.colours import BLUE, RED, jet
from hamster.path.draw import channels as draw_channels
from hamster.path.draw import draw
from hamster.policy.conditioning import CHANNELS, FEATURES, channels, cloud, overlay, zero_init
from hamster.policy.path_prompt import Guide

Seen = tuple[Observation, Path2D]
PATH = Path2D([[0.2, 0.3], [0.5, 0.6], [0.8, 0.4]], np.array([-1, 0, 1], np.int8))


def _guide(seen: Seen, path: Path2D = PATH) -> Guide:
    return Guide(path, seen[0].views["front"])


def _aside(view: View) -> View:
    assert view.camera is not None
    moved = pose([0, 0.12, 0.05]) @ view.camera.world_from_camera
    return replace(view, camera=replace(view.camera, world_from_camera=moved))


def test_on_its_own_view_the_overlay_is_the_drawing(seen: Seen) -> None:
    guide = _guide(seen)
    drawn = overlay(guide.view, guide, "red")
    np.testing.assert_array_equal(drawn.rgb, draw(guide.view.rgb, PATH, "red"))
    assert drawn.depth_m is guide.view.depth_m and drawn.camera is guide.view.camera
    assert overlay(guide.view, None) is guide.view


def test_channels_are_those_of_the_drawing_and_all_zero_without_a_path(seen: Seen) -> None:
    guide = _guide(seen)
    told = channels(guide.view, guide)
    assert told.shape == (*guide.view.rgb.shape[:2], CHANNELS) and told.dtype == np.float32
    np.testing.assert_array_equal(told[..., :3].transpose(2, 0, 1), draw_channels(PATH, *told.shape[:2]))
    assert (told[..., 3] == 1).all() and not channels(guide.view, None).any()


def test_from_another_camera_the_path_runs_where_its_points_are(seen: Seen) -> None:
    guide = _guide(seen)
    other = _aside(guide.view)
    distance = channels(other, guide)[..., 1]
    assert other.camera is not None
    px, _ = other.camera.project(guide.points_world(np.linspace(0, 1, 9)))
    column, row = px.astype(int).T
    assert distance[row, column].max() < 2 / len(distance)
    assert channels(guide.view, guide)[row, column, 1].max() > 0.05  # which is elsewhere on the first camera's image
    changed = np.any(overlay(other, guide).rgb != other.rgb, -1)
    assert changed.any() and distance[changed].max() < 0.06


def test_a_view_that_nobody_calibrated_keeps_the_path_as_it_was_drawn(seen: Seen) -> None:
    guide = _guide(seen)
    bare = View(guide.view.rgb)
    np.testing.assert_array_equal(channels(bare, guide), channels(guide.view, guide))
    np.testing.assert_array_equal(channels(bare, Guide(PATH, bare)), channels(guide.view, guide))


def test_without_depth_no_other_camera_sees_a_path(seen: Seen) -> None:
    view = seen[0].views["front"]
    with pytest.raises(ValueError, match="depth and calibration"):
        overlay(_aside(view), Guide(PATH, replace(view, depth_m=None)))


@pytest.mark.parametrize("count", [5, 64, 512])
def test_a_cloud_lies_on_the_path_with_the_colours_of_the_drawing(seen: Seen, count: int) -> None:
    guide = _guide(seen)
    points = cloud(guide, count)
    assert points.points_world.shape == (count, 3) and points.features.shape == (count, FEATURES) and points.on.all()
    at = points.features[:, 0]
    assert (np.diff(at) > 0).all() and at[0] == 0 and at[-1] == 1
    np.testing.assert_allclose(points.points_world, guide.points_world(at))
    events = np.flatnonzero(points.features[:, 4])
    np.testing.assert_allclose(at[events], guide.progress[1:])  # both events, exactly where they are
    assert points.rgb[events].tolist() == [list(BLUE), list(RED)]
    line = np.setdiff1d(np.arange(count), events)
    np.testing.assert_array_equal(points.rgb[line], jet(np.linspace(0, 1, count))[line])
    state = points.features[:, 1:4].argmax(-1) - 1
    assert state[0] == Gripper.UNKNOWN and state[events[0]] == Gripper.CLOSED and state[-1] == Gripper.OPEN


def test_a_cloud_uses_the_paths_own_depth_and_there_is_none_without_a_path(seen: Seen) -> None:
    deep = cloud(_guide(seen, replace(PATH, depth_m=np.array([0.5, 0.6, 0.7]))), 16)
    camera = seen[0].views["front"].camera
    assert camera is not None
    depth_m = camera.project(deep.points_world)[1]
    assert depth_m[0] == pytest.approx(0.5) and depth_m[-1] == pytest.approx(0.7)
    nothing = cloud(None, 16)
    assert not nothing.on.any() and not nothing.points_world.any() and nothing.rgb.dtype == np.uint8
    with pytest.raises(ValueError, match="at least one point"):
        cloud(None, 0)


def test_a_single_waypoint_is_a_path_too(seen: Seen) -> None:
    guide = _guide(seen, Path2D([[0.5, 0.5]], np.array([0], np.int8)))
    assert np.isfinite(cloud(guide, 8).points_world).all() and np.isfinite(channels(guide.view, guide)).all()
    assert overlay(_aside(guide.view), guide).rgb.shape == guide.view.rgb.shape


def test_a_silent_layer_says_nothing_but_can_learn() -> None:
    layer = zero_init(nn.Linear(3, 2))
    out = layer(torch.ones(1, 3))
    assert not out.any()
    out.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.any()
