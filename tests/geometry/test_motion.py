from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.geometry import angle_between, inverse, pose, rotation_z
from hamster.geometry.motion import interpolate
from tests.geometry.strategies import poses


@given(poses(), poses(), st.floats(0.5, 2), st.floats(0.3, 4), st.floats(0.05, 0.3))
def test_respects_both_speeds_and_ends_exactly_at_the_goal(a, b, speed, turn, dt):
    path = interpolate(a, b, speed, turn, dt)
    assert np.array_equal(path[-1], b)
    whole = np.concatenate([a[None], path])
    assert np.linalg.norm(np.diff(whole[:, :3, 3], axis=0), axis=-1).max() <= speed * dt * (1 + 1e-6)
    turns = [angle_between(p[:3, :3], q[:3, :3]) for p, q in pairwise(whole)]
    assert max(turns) <= turn * dt * (1 + 1e-6) + 1e-6
    assert np.allclose(path @ inverse(path), np.eye(4), atol=1e-8)


@given(poses(), poses())
def test_no_pose_is_wasted(a, b):
    path = interpolate(a, b, 0.5, 1.0, 0.05)
    needed_s = max(np.linalg.norm(a[:3, 3] - b[:3, 3]) / 0.5, angle_between(a[:3, :3], b[:3, :3]) / 1.0)
    assert len(path) <= max(1, np.ceil(needed_s / 0.05 + 1e-6))


@given(poses(), poses())
def test_turns_steadily_about_one_axis(a, b):
    path = np.concatenate([a[None], interpolate(a, b, 10.0, 0.5, 0.05)])
    whole = angle_between(a[:3, :3], b[:3, :3])
    so_far = [angle_between(a[:3, :3], p[:3, :3]) for p in path]
    assert np.allclose(so_far, whole * np.linspace(0, 1, len(path)), atol=1e-5)


def test_takes_the_short_way_round():
    path = interpolate(pose([0, 0, 0]), pose([0, 0, 0], rotation_z(np.deg2rad(270))), 1.0, 1.0, 0.01)
    assert len(path) == pytest.approx(np.pi / 2 / 0.01, abs=1)


def test_nowhere_to_go_is_one_pose():
    here = pose([0.1, 0.2, 0.3], rotation_z(1.0))
    assert np.array_equal(interpolate(here, here, 0.1, 0.1, 0.05), here[None])


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, -1, 1), (1, 1, 0), (float("nan"), 1, 1)])
def test_rejects_a_speed_that_gets_nowhere(bad):
    with pytest.raises(ValueError, match="must be > 0"):
        interpolate(np.eye(4), np.eye(4), *bad)
