import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.geometry import Camera, apply, inverse, look_at
from tests.geometry.strategies import cameras, vectors

K = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])


@given(cameras(), st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 5))
def test_unproject_then_project(camera, u, v, depth):
    px, depth_m = camera.project(camera.unproject(np.array([u, v]) * camera.size_px, depth))
    assert np.allclose(px, np.array([u, v]) * camera.size_px, atol=1e-5) and np.isclose(depth_m, depth)


@given(cameras(), vectors(-3, 3))
def test_depth_is_along_the_optical_axis(camera, point):
    _, depth_m = camera.project(point)
    assert np.isclose(depth_m, apply(inverse(camera.world_from_camera), point)[2])


@given(cameras(), st.floats(0, 1), st.floats(0, 1), st.integers(8, 900), st.integers(8, 900))
def test_resizing_moves_nothing_in_relative_coordinates(camera, u, v, width, height):
    point = camera.unproject(np.array([u, v]) * camera.size_px, 1.0)
    resized = camera.resized(width, height)
    assert np.allclose(resized.project(point)[0] / resized.size_px, [u, v], atol=1e-6)


@given(cameras())
def test_behind_the_camera_is_a_negative_depth(camera):
    behind = apply(camera.world_from_camera, [0, 0, -0.3])
    assert camera.project(behind)[1] == pytest.approx(-0.3)


def test_a_point_in_the_plane_of_the_camera_does_not_divide_by_zero():
    px, depth_m = Camera(K, np.eye(4), 64, 48).project([1.0, 0.0, 0.0])
    assert np.isfinite(px).all() and depth_m == 0


def test_depth_image_to_points():
    camera = Camera(K, look_at([1, 0, 1], [0, 0, 0]), 64, 48)
    points = camera.points_world(np.full((48, 64), 0.7))
    px, depth_m = camera.project(points)
    assert np.allclose(depth_m, 0.7)
    assert np.allclose(px[5, 9], [9.5, 5.5])  # pixel centres


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"intrinsics": -K}, "positive"),
        ({"intrinsics": np.diag([0.0, 100, 1])}, "positive"),
        ({"intrinsics": np.diag([100.0, 0, 1])}, "positive"),
        ({"intrinsics": np.eye(4)}, r"\(3, 3\)"),
        ({"world_from_camera": np.diag([1.0, 1, -1, 1])}, "rigid"),
        ({"world_from_camera": np.diag([2.0, 2, 2, 1])}, "rigid"),
        ({"world_from_camera": np.full((4, 4), np.nan)}, "finite"),
        ({"width": 0}, "pixel"),
    ],
)
def test_a_wrong_calibration_is_refused(change, complaint):
    good = {"intrinsics": K, "world_from_camera": np.eye(4), "width": 64, "height": 48}
    Camera(**good)
    with pytest.raises(ValueError, match=complaint):
        Camera(**{**good, **change})
