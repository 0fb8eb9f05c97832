import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from hamster.data import View
from hamster.path import Gripper, Path2D
from hamster.policy.path_prompt import (
    PathPoints,
    PathPrompt,
    depth_from_height,
    key_waypoints,
    sample_waypoints,
    surface_depth,
)

CAMERA = synthetic.front_camera(128)


def _table_depth() -> np.ndarray:
    """What the camera sees of an endless table at z = 0."""
    eye = CAMERA.world_from_camera[:3, 3]
    rays = CAMERA.points_world(np.ones((128, 128))) - eye
    return np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], 0).astype(np.float32)


def _lift(path: Path2D, depth_m: np.ndarray, keys: int, spaced: int) -> PathPoints:
    return sample_waypoints(PathPrompt(path, View(np.zeros((128, 128, 3), np.uint8), depth_m, CAMERA)), keys, spaced)


def _path(uv: list[tuple[float, float]], events: dict[int, Gripper] | None = None) -> Path2D:
    gripper = np.full(len(uv), Gripper.UNKNOWN)
    for i, state in (events or {}).items():
        gripper[i:] = state
    return Path2D(np.array(uv), gripper)


def test_waypoints_land_on_the_table_where_they_were_drawn() -> None:
    places = np.array([[0.4, -0.1, 0], [0.5, 0.1, 0], [0.6, 0.0, 0]])
    uv = CAMERA.project(places)[0] / CAMERA.size_px
    lifted = _lift(Path2D(uv, np.full(3, -1)), _table_depth(), keys=2, spaced=5)
    # A pixel is about a centimetre deep on the table.
    np.testing.assert_allclose(lifted.positions_world[:2], places[1:], atol=0.008)
    np.testing.assert_allclose(lifted.positions_world[2:, 2], 0, atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(lifted.features[:, 5:], axis=1), 1)


def test_depth_is_that_of_a_true_surface_also_at_edges_and_where_some_is_unknown() -> None:
    depth = np.full((128, 128), 1.0, np.float32)
    depth[:, 64:] = 2.0
    depth[::3] = np.nan
    depth[1::3] = 0
    depths = surface_depth(np.stack([np.linspace(0.4, 0.6, 50), np.full(50, 0.5)], -1), depth)
    assert set(depths.tolist()) == {1.0, 2.0}


def test_no_depth_at_all_still_gives_finite_points() -> None:
    lifted = _lift(_path([(0.2, 0.2), (0.8, 0.9)]), np.zeros((128, 128), np.float32), 4, 6)
    assert np.isfinite(lifted.positions_world).all()


def test_events_and_the_end_come_before_turns() -> None:
    zigzag = [(0.1, 0.1), (0.2, 0.5), (0.3, 0.1), (0.4, 0.5), (0.5, 0.1), (0.6, 0.5)]
    path = _path(zigzag, {1: Gripper.CLOSED, 4: Gripper.OPEN})
    assert {1, 4, 5} < set(key_waypoints(path, 4).tolist())
    assert key_waypoints(path, 10).tolist() == [1, 2, 3, 4, 5]


def test_features_tell_progress_state_and_events() -> None:
    path = _path([(0.1, 0.5), (0.5, 0.5), (0.9, 0.5)], {1: Gripper.CLOSED})
    lifted = _lift(path, _table_depth(), keys=2, spaced=5)
    np.testing.assert_allclose(lifted.features[:2, :5], [[0.5, 0, 1, 0, 1], [1, 0, 1, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(lifted.features[2:, 0], np.linspace(0, 1, 5))
    np.testing.assert_allclose(lifted.features[2:, 1], [1, 1, 0, 0, 0])


def test_a_single_waypoint_is_a_path() -> None:
    lifted = _lift(_path([(0.5, 0.5)]), _table_depth(), keys=3, spaced=4)
    assert lifted.valid.tolist() == [True, False, False, True, True, True, True]
    assert np.isfinite(lifted.features).all()


@pytest.mark.parametrize("shape", [(16, 16_384), (16_384, 16)])
def test_the_window_of_a_surface_is_bounded_in_both_directions(shape):
    tracemalloc.start()
    surface_depth(np.full((256, 2), 0.5), np.ones(shape, np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_known_heights_place_waypoints_in_the_air_and_behind_what_is_nearer() -> None:
    tips = np.array([[0.45, -0.1, 0.25], [0.5, 0.1, 0.1], [0.6, 0.0, 0.02]])
    uv = CAMERA.project(tips)[0] / CAMERA.size_px
    path = Path2D(uv, np.full(3, -1), height_m=tips[:, 2])
    occluded = np.full((128, 128), 0.3, np.float32)
    prompt = PathPrompt(depth_from_height(path, CAMERA), View(np.zeros((128, 128, 3), np.uint8), occluded, CAMERA))
    np.testing.assert_allclose(prompt.points_world(prompt.progress), tips, atol=1e-9)


def test_without_calibration_or_where_no_plane_is_met_there_is_no_depth() -> None:
    path = Path2D(np.array([[0.4, 0.4], [0.6, 0.6]]), np.full(2, -1), height_m=np.array([0.1, 0.1]))
    above = replace(path, height_m=np.array([0.1, CAMERA.world_from_camera[2, 3] + 0.1]))
    measured = replace(path, depth_m=np.ones(2))
    flat = Path2D(path.uv, path.gripper)
    assert depth_from_height(path, None) is path and depth_from_height(above, CAMERA) is above
    assert depth_from_height(measured, CAMERA) is measured and depth_from_height(flat, CAMERA) is flat
