from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hamster.rollout
from hamster.geometry import matrix_from_quaternion
from hamster.geometry.keypose_motion import down_pose
from hamster.rollout import SafetyFilter, UnsafeActionError

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
LIKELY = st.one_of(st.floats(-0.7, 1.0), ANY)
STEP_S = 0.05
HERE = down_pose((0.5, 0.0, 0.2), 0.0)


def _stream(*positions, yaws=None):
    yaws = yaws or [0.0] * len(positions)
    return np.stack([down_pose(position, yaw) for position, yaw in zip(positions, yaws, strict=True)])


@st.composite
def actions(draw):
    """Poses near and far, turned anyhow, at times with damaged numbers anywhere."""
    count = draw(st.integers(1, 5))
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        quaternion = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4)))
        if np.linalg.norm(quaternion) > 0.1:
            pose[:3, :3] = matrix_from_quaternion(quaternion / np.linalg.norm(quaternion))
        pose[:3, 3] = draw(st.tuples(LIKELY, LIKELY, LIKELY))
    for _ in range(draw(st.integers(0, 1))):
        poses[draw(st.integers(0, count - 1)), draw(st.integers(0, 3)), draw(st.integers(0, 3))] = draw(ANY)
    step_s = draw(st.one_of(st.none(), st.floats(1e-3, 10), ANY))
    return poses, np.array(draw(st.lists(st.one_of(st.floats(0, 1), ANY), min_size=count, max_size=count))), step_s


@given(actions(), st.floats(0.01, 5), st.floats(0.1, 20))
def test_no_action_that_passes_violates_a_bound(action, speed, angular_speed):
    poses, gripper_open, step_s = action
    limits = SafetyFilter(max_speed_m_s=speed, max_angular_speed_rad_s=angular_speed)
    try:
        checked, opening = limits.check(poses, gripper_open, step_s, HERE)
    except UnsafeActionError:
        return
    assert np.isfinite(checked).all() and ((opening >= 0) & (opening <= 1)).all()
    for pose in checked:
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=2e-3) and np.linalg.det(pose[:3, :3]) > 0.99
        assert (pose[3] == [0, 0, 0, 1]).all()
        assert (pose[:3, 3] >= limits.workspace_low_m).all() and (pose[:3, 3] <= limits.workspace_high_m).all()
    if step_s is not None:
        assert step_s > 0
        before = HERE
        for pose in checked:
            assert np.linalg.norm(pose[:3, 3] - before[:3, 3]) <= speed * step_s * (1 + 1e-9)
            cosine = (np.trace(before[:3, :3].T @ pose[:3, :3]) - 1) / 2
            # The cosine of a small angle has few digits, and rotations here are only nearly orthonormal.
            assert np.arccos(np.clip(cosine, -1, 1)) <= angular_speed * step_s + 0.05
            before = pose


def test_what_passes_is_a_copy_that_the_caller_cannot_change():
    poses, gripper_open = _stream((0.5, 0, 0.2)), np.ones(1)
    checked, opening = SafetyFilter().check(poses, gripper_open)
    poses[:], gripper_open[:] = np.nan, 7
    assert np.array_equal(checked[0], HERE) and opening.tolist() == [1.0]


@pytest.mark.parametrize(
    ("poses", "gripper_open", "reason"),
    [
        (np.zeros((0, 4, 4)), np.zeros(0), "K >= 1, 4, 4"),
        (np.eye(4), np.ones(1), "K >= 1, 4, 4"),
        (HERE[None], np.ones(2), r"gripper_open \(K,\)"),
        ([[1, 2], [3]], np.ones(1), "different lengths"),
        (np.full((1, 4, 4), None), np.ones(1), "must be numbers"),
        (HERE[None].astype(complex), np.ones(1), "must be numbers"),
        (HERE[None], ["open"], "must be numbers"),
        (np.ma.masked_less(HERE[None], -0.5), np.ones(1), "masked"),
        (HERE[None], np.ma.array([1.0], mask=[True]), "masked"),
        (torch.tensor(HERE[None], requires_grad=True), np.ones(1), "cannot become an array"),
        (torch.tensor(HERE[None], dtype=torch.bfloat16), np.ones(1), "cannot become an array"),
        (HERE[None], np.array([np.nan]), "not finite"),
        (np.full((1, 4, 4), np.inf), np.ones(1), "not finite"),
        (2 * HERE[None], np.ones(1), "not a rotation"),
        (1e300 * HERE[None], np.ones(1), "not a rotation"),
        (HERE[None] * [[1], [1], [-1], [1]], np.ones(1), "not a rotation"),  # a reflection
        (HERE[None] + np.array([[0] * 4] * 3 + [[1e-3, 0, 0, 0]]), np.ones(1), "last row"),
        (_stream((0.5, 0, 1e300)), np.ones(1), "outside the workspace"),
        (HERE[None], np.array([1e9]), r"gripper_open 1e\+09 is outside \[0, 1\]"),
        (HERE[None], np.array([-0.1]), r"outside \[0, 1\]"),
    ],
)
def test_what_is_no_action_is_refused_with_the_reason(poses, gripper_open, reason):
    with pytest.raises(UnsafeActionError, match=reason):
        SafetyFilter().check(poses, gripper_open)


def test_the_message_names_the_pose_that_violates_a_bound():
    positions = [(0.5, 0, 0.2)] * 3 + [(5.0, 0, 0.2)]
    with pytest.raises(UnsafeActionError, match=r"pose 3: the tip \(5, 0, 0.2\) is outside the workspace"):
        SafetyFilter().check(_stream(*positions), np.ones(4))


def test_a_stream_is_held_to_its_speeds_and_keyposes_are_not():
    far = _stream((0.2, -0.55, 0.2), (0.85, 0.55, 0.8))
    flip = _stream((0.5, 0, 0.2), (0.5, 0, 0.2), yaws=[0.0, np.pi])
    for poses, reason in ((far, r"pose 1: .* m/s"), (flip, r"pose 1: .* rad/s")):
        SafetyFilter().check(poses, np.ones(2))
        with pytest.raises(UnsafeActionError, match=reason):
            SafetyFilter().check(poses, np.ones(2), STEP_S)
        SafetyFilter().check(poses, np.ones(2), 2.0)
    slow = SafetyFilter(max_speed_m_s=0.25)
    with pytest.raises(UnsafeActionError, match=r"pose 1: .* 0.4 m/s .* more than 0.25 m/s"):
        slow.check(_stream((0.5, 0, 0.2), (0.52, 0, 0.2)), np.ones(2), STEP_S)


def test_the_way_from_the_current_pose_to_the_first_of_a_stream_counts():
    poses = _stream((0.8, 0, 0.2), (0.81, 0, 0.2))
    SafetyFilter().check(poses, np.ones(2), STEP_S)
    with pytest.raises(UnsafeActionError, match="pose 0: the tool would have to move at 6 m/s"):
        SafetyFilter().check(poses, np.ones(2), STEP_S, HERE)
    for current in (np.full((4, 4), np.nan), 1.1 * HERE, HERE * [1, 1, -1, 1], np.vstack([HERE[:3], [7, 7, 7, 7]])):
        with pytest.raises(UnsafeActionError, match="current tool pose"):
            SafetyFilter().check(_stream((0.5, 0, 0.2)), np.ones(1), 10.0, current)


def test_matrices_that_are_only_nearly_rotations_buy_no_turn():
    filter_ = SafetyFilter()
    turned = _stream((0.5, 0, 0.2), (0.5, 0, 0.2), yaws=[0.0, 3.13])  # of 3.12 that are allowed
    step_s = 3.12 / filter_.max_angular_speed_rad_s
    for scale in (1.0, 1 - 4e-4):
        poses = turned.copy()
        poses[:, :3, :3] *= scale
        with pytest.raises(UnsafeActionError, match="rad/s"):
            filter_.check(poses, np.ones(2), step_s)


@pytest.mark.parametrize("step_s", [0.0, -1.0, np.nan, np.inf, "fast", True, 10**400])
def test_a_time_step_that_is_none_is_refused(step_s):
    with pytest.raises(UnsafeActionError, match="step_s must be finite and > 0"):
        SafetyFilter().check(HERE[None], np.ones(1), step_s)


@pytest.mark.parametrize(
    "bounds",
    [
        {"workspace_low_m": (0.9, -0.6, 0.0)},
        {"workspace_high_m": (np.inf, 1, 1)},
        {"max_speed_m_s": 0.0},
        {"max_angular_speed_rad_s": np.nan},
    ],
)
def test_bounds_that_bound_nothing_are_refused(bounds):
    with pytest.raises(ValueError, match="finite"):
        replace(SafetyFilter(), **bounds)


def test_a_hundred_thousand_poses_take_no_longer_than_a_moment():
    poses = np.tile(HERE, (100_000, 1, 1))
    start = time.process_time()
    SafetyFilter().check(poses, np.ones(len(poses)), STEP_S, HERE)
    assert time.process_time() - start < 2  # 15 s when poses were looked at one by one


def test_the_old_names_still_work_and_say_the_new_ones():
    with pytest.warns(DeprecationWarning, match="SafetyFilter"):
        assert hamster.rollout.Gate is SafetyFilter
    with pytest.warns(DeprecationWarning, match="UnsafeActionError"):
        assert hamster.rollout.MotionRefusedError is UnsafeActionError
