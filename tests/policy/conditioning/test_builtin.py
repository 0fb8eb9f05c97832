from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hamster.data import Observation, View
from hamster.geometry import pose
from hamster.path import Gripper, Path2D
from hamster.path.draw import channels as draw_channels
from hamster.path.draw import draw
from hamster.policy.conditioning.builtin import Overlay, PathChannels, PointCloud
from hamster.policy.layers import zero_init
from hamster.policy.path_prompt import PathPrompt

Moment = tuple[Observation, Path2D]
CHANNELS = PathChannels()
PATH = Path2D([[0.2, 0.3], [0.5, 0.6], [0.8, 0.4]], np.array([-1, 0, 1], np.int8))


def _prompt(moment: Moment, path: Path2D = PATH) -> PathPrompt:
    return PathPrompt(path, moment[0].views["front"])


def _aside(view: View) -> View:
    assert view.camera is not None
    moved = pose([0, 0.12, 0.05]) @ view.camera.world_from_camera
    return replace(view, camera=replace(view.camera, world_from_camera=moved))


def test_on_its_own_view_the_overlay_is_the_drawing(moment: Moment) -> None:
    prompt = _prompt(moment)
    drawn = Overlay("red").draw(prompt.view, prompt)
    np.testing.assert_array_equal(drawn.rgb, draw(prompt.view.rgb, PATH, "red"))
    assert drawn.depth_m is prompt.view.depth_m and drawn.camera is prompt.view.camera


def test_channels_are_those_of_the_drawing_and_all_zero_without_a_path(moment: Moment) -> None:
    prompt = _prompt(moment)
    values = CHANNELS.channels(prompt.view, prompt)
    assert values.shape == (*prompt.view.rgb.shape[:2], CHANNELS.n_channels) and values.dtype == np.float32
    np.testing.assert_array_equal(values[..., :3].transpose(2, 0, 1), draw_channels(PATH, *values.shape[:2]))
    assert (values[..., 3] == 1).all() and not CHANNELS.channels(prompt.view, None).any()


def test_from_another_camera_the_path_runs_where_its_points_are(moment: Moment) -> None:
    prompt = _prompt(moment)
    other = _aside(prompt.view)
    distance = CHANNELS.channels(other, prompt)[..., 1]
    assert other.camera is not None
    px, _ = other.camera.project(prompt.points_world(np.linspace(0, 1, 9)))
    column, row = px.astype(int).T
    assert distance[row, column].max() < 2 / len(distance)
    assert (
        CHANNELS.channels(prompt.view, prompt)[row, column, 1].max() > 0.05
    )  # which is elsewhere on the first camera's image
    changed = np.any(Overlay().draw(other, prompt).rgb != other.rgb, -1)
    assert changed.any() and distance[changed].max() < 0.06


def test_a_view_that_nobody_calibrated_keeps_the_path_as_it_was_drawn(moment: Moment) -> None:
    prompt = _prompt(moment)
    bare = View(prompt.view.rgb)
    np.testing.assert_array_equal(CHANNELS.channels(bare, prompt), CHANNELS.channels(prompt.view, prompt))
    np.testing.assert_array_equal(
        CHANNELS.channels(bare, PathPrompt(PATH, bare)), CHANNELS.channels(prompt.view, prompt)
    )


def test_without_depth_no_other_camera_sees_a_path(moment: Moment) -> None:
    view = moment[0].views["front"]
    with pytest.raises(ValueError, match="depth and calibration"):
        Overlay().draw(_aside(view), PathPrompt(PATH, replace(view, depth_m=None)))


@pytest.mark.parametrize("count", [5, 64, 512])
def test_a_cloud_lies_on_the_path_and_has_its_events(moment: Moment, count: int) -> None:
    prompt = _prompt(moment)
    points = PointCloud(count).points(prompt)
    assert points.positions_world.shape == (count, 3) and points.valid.all()
    assert points.features.shape == (count, PointCloud.n_features)
    at = points.features[:, 0]
    assert (np.diff(at) > 0).all() and at[0] == 0 and at[-1] == 1
    np.testing.assert_allclose(points.positions_world, prompt.points_world(at))
    events = np.flatnonzero(points.features[:, 4])
    np.testing.assert_allclose(at[events], prompt.progress[1:])  # both events, exactly where they are
    state = points.features[:, 1:4].argmax(-1) - 1
    assert state[0] == Gripper.UNKNOWN and state[events[0]] == Gripper.CLOSED and state[-1] == Gripper.OPEN


def test_a_cloud_uses_the_paths_own_depth_and_there_is_none_without_a_path(moment: Moment) -> None:
    deep = PointCloud(16).points(_prompt(moment, replace(PATH, depth_m=np.array([0.5, 0.6, 0.7]))))
    camera = moment[0].views["front"].camera
    assert camera is not None
    depth_m = camera.project(deep.positions_world)[1]
    assert depth_m[0] == pytest.approx(0.5) and depth_m[-1] == pytest.approx(0.7)
    nothing = PointCloud(16).points(None)
    assert not nothing.valid.any() and not nothing.positions_world.any()
    with pytest.raises(ValueError, match="one point at least"):
        PointCloud(0).points(None)


def test_a_single_waypoint_is_a_path_too(moment: Moment) -> None:
    prompt = _prompt(moment, Path2D([[0.5, 0.5]], np.array([0], np.int8)))
    assert (
        np.isfinite(PointCloud(8).points(prompt).positions_world).all()
        and np.isfinite(CHANNELS.channels(prompt.view, prompt)).all()
    )
    assert Overlay().draw(_aside(prompt.view), prompt).rgb.shape == prompt.view.rgb.shape


def test_a_zero_initialised_layer_outputs_zero_but_can_learn() -> None:
    layer = zero_init(nn.Linear(3, 2))
    out = layer(torch.ones(1, 3))
    assert not out.any()
    out.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.any()
