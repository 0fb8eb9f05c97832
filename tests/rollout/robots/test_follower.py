import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.geometry.keypose_motion import down_pose
from hamster.geometry.motion import angle_between
from hamster.rollout import SafetyFilter
from hamster.rollout.robots.follower import MotionLimits, SetpointFollower
from hamster.rollout.safety_checks import rotation_vectors
from tests.rollout.robots.fakes import START

PERIOD_S = 0.05
LIMITS = MotionLimits()
POINT = st.tuples(st.floats(0.2, 0.7), st.floats(-0.4, 0.4), st.floats(0.0, 0.5), st.floats(-3, 3))
ROUNDING = 1 + 1e-6


def run(follower, n_steps, hold_from=10**9):
    poses, grippers = [], []
    for step in range(n_steps):
        pose, gripper_open = follower.step(hold=step >= hold_from)
        poses.append(pose)
        grippers.append(gripper_open)
    return np.stack(poses), grippers


def check_limits(poses):
    velocity = np.diff(poses[:, :3, 3], axis=0) / PERIOD_S
    angular = rotation_vectors(poses) / PERIOD_S
    for values, speed, acceleration in (
        (velocity, LIMITS.speed_m_s, LIMITS.acceleration_m_s2),
        (angular, LIMITS.angular_speed_rad_s, LIMITS.angular_acceleration_rad_s2),
    ):
        values = np.concatenate([np.zeros((1, 3)), values])
        assert np.linalg.norm(values, axis=1).max() <= speed * ROUNDING
        assert (np.linalg.norm(np.diff(values, axis=0), axis=1) / PERIOD_S).max() <= acceleration * ROUNDING


@settings(max_examples=20, deadline=None)
@given(st.lists(POINT, min_size=1, max_size=4), st.sampled_from([None, 0.05, 0.12, 0.5]), st.integers(1, 60), POINT)
def test_no_step_exceeds_a_limit_whatever_is_followed(points, step_s, switch_at, other):
    follower = SetpointFollower(LIMITS, PERIOD_S)
    follower.start(START, True)
    poses = np.stack([down_pose(point[:3], point[3]) for point in points])
    follower.follow(poses, np.arange(len(points)) % 2 == 0, step_s)
    first, _ = run(follower, switch_at)
    follower.follow(down_pose(other[:3], other[3])[None], np.array([True]), None)
    second, _ = run(follower, 150)
    check_limits(np.concatenate([START[None], first, second]))


def test_a_keypose_is_reached_at_rest_before_the_gripper_moves():
    follower = SetpointFollower(LIMITS, PERIOD_S)
    follower.start(START, True)
    goal = down_pose((0.5, 0.1, 0.1), 1.0)
    follower.follow(np.stack([goal, START]), np.array([False, False]), None)
    poses, grippers = run(follower, 400)
    closed = grippers.index(False)
    assert np.linalg.norm(poses[closed, :3, 3] - goal[:3, 3]) < 1e-3
    assert angle_between(poses[closed, :3, :3], goal[:3, :3]) < 6e-3
    assert np.linalg.norm(poses[closed + 8, :3, 3] - goal[:3, 3]) < 1e-3, "it waits for the gripper"
    assert follower.is_done and np.linalg.norm(poses[-1, :3, 3] - START[:3, 3]) < 1e-3


def test_a_stream_is_followed_in_its_time():
    follower = SetpointFollower(LIMITS, PERIOD_S)
    follower.start(START, True)
    stream = np.stack([START] * 40)
    stream[:, 0, 3] += 0.15 * np.arange(1, 41) * PERIOD_S  # 0.15 m/s
    follower.follow(stream, np.ones(40, bool), PERIOD_S)
    poses, _ = run(follower, 40)
    assert abs(poses[-1, 0, 3] - stream[-1, 0, 3]) < 0.05
    run(follower, 40)
    assert follower.is_done


def test_holding_comes_to_rest_and_goes_on_later():
    follower = SetpointFollower(LIMITS, PERIOD_S)
    follower.start(START, True)
    goal = down_pose((0.7, 0.0, 0.3), 0.0)
    follower.follow(goal[None], np.array([True]), None)
    poses, _ = run(follower, 40, hold_from=15)
    assert np.array_equal(poses[-1], poses[-10]) and poses[-1, 0, 3] < 0.6
    check_limits(np.concatenate([START[None], poses]))
    poses, _ = run(follower, 100)
    assert np.allclose(poses[-1], goal, atol=1e-3)


def test_limits_stay_below_the_bounds_of_the_filter():
    with pytest.raises(ValueError, match=r"speed_m_s must be > 0 and at most 95 % of .* 0.3, got 0.3"):
        MotionLimits(speed_m_s=0.3).check(SafetyFilter(max_speed_m_s=0.3))
