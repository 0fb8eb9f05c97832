from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.geometry import angle_between
from hamster.geometry.keypose_motion import (
    CONTROL_DT_S,
    SPEED_M_S,
    TURN_RAD_S,
    down_pose,
    keypose_steps,
    stream_steps,
    yaw_of,
)
from tests.geometry.strategies import vectors

down_poses = st.builds(down_pose, vectors(-0.5, 0.5), st.floats(-3, 3))


def _assert_speeds_are_kept(start, poses):
    whole = np.concatenate([start[None], poses])
    assert np.linalg.norm(np.diff(whole[:, :3, 3], axis=0), axis=-1).max() <= SPEED_M_S * CONTROL_DT_S * (1 + 1e-6)
    turns = [angle_between(a[:3, :3], b[:3, :3]) for a, b in pairwise(whole)]
    assert max(turns) <= TURN_RAD_S * CONTROL_DT_S * (1 + 1e-6) + 1e-6


@settings(max_examples=30)
@given(down_poses, down_poses, st.booleans(), st.booleans())
def test_the_steps_to_a_keypose_keep_the_speeds_and_end_there(start, target, is_open, target_open):
    poses, opening = keypose_steps(start, is_open, target, target_open)
    _assert_speeds_are_kept(start, poses)
    np.testing.assert_allclose(poses[-1], target)
    assert len(poses) == len(opening) and opening[0] == is_open and opening[-1] == target_open
    np.testing.assert_allclose(poses[opening != is_open], target[None].repeat((opening != is_open).sum(), 0))


@settings(max_examples=30)
@given(down_poses, down_poses, st.sampled_from([0.05, 0.2, 0.5]))
def test_a_streamed_pose_takes_its_time_or_what_the_speeds_need(start, target, step_s):
    poses, opening = stream_steps(start, True, target, False, step_s)
    _assert_speeds_are_kept(start, poses)
    np.testing.assert_allclose(poses[-1], target)
    needed_s = max(
        np.linalg.norm(target[:3, 3] - start[:3, 3]) / SPEED_M_S,
        angle_between(start[:3, :3], target[:3, :3]) / TURN_RAD_S,
    )
    assert len(poses) == pytest.approx(max(step_s, needed_s) / CONTROL_DT_S, abs=1)
    assert opening[:-1].all() and not opening[-1]


@given(st.floats(-3.1, 3.1))
def test_the_yaw_of_a_tool_that_points_down_comes_back(yaw):
    assert yaw_of(down_pose([0.1, 0.2, 0.3], yaw)) == pytest.approx(yaw)
