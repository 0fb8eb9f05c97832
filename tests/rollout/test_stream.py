"""Poses that are only passed, and their gripper commands."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.geometry.keypose_motion import CONTROL_DT_S, SPEED_M_S, down_pose
from hamster.rollout import rollout
from hamster.rollout.executor import Executor
from tests.rollout.fakes import START, FakeEnv, FakeMotion, FakePlanner


def _away(metres, yaw=0.0):
    return down_pose(START[:3, 3] + [0, metres, 0], yaw)


def test_a_stream_is_passed_on_time_and_evenly():
    env = FakeEnv(goal=(0, 0, 0))
    executor = Executor(env, env.observe())
    for metres in (0.04, 0.08, 0.08):
        list(executor.move(_away(metres), True, step_s=0.2))
    y = [pose[1, 3] for pose, _ in env.commands]
    np.testing.assert_allclose(y, [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, *[0.08] * 5], atol=1e-9)


@pytest.mark.parametrize("step_s", [0.05, 0.2, 0.5])
def test_standing_still_takes_its_time_too_and_turning_keeps_pace(step_s):
    for pose in (START, down_pose(START[:3, 3], 0.1)):
        env = FakeEnv(goal=(0, 0, 0))
        assert len(list(Executor(env, env.observe()).move(pose, True, step_s))) == round(step_s / CONTROL_DT_S)
        np.testing.assert_allclose(env.pose, pose, atol=1e-9)


def test_no_pose_makes_the_tool_exceed_its_speed():
    env = FakeEnv(goal=(0, 0, 0))
    list(Executor(env, env.observe()).move(_away(0.5), True, step_s=0.2))
    steps = np.diff([START[1, 3], *(pose[1, 3] for pose, _ in env.commands)])
    assert steps.max() <= SPEED_M_S * CONTROL_DT_S + 1e-9 and env.pose[1, 3] == pytest.approx(0.5)


def test_the_gripper_is_commanded_where_the_pose_is_reached():
    env = FakeEnv(goal=(0, 0, 0))
    executor = Executor(env, env.observe())
    for is_open in (True, False, False):
        list(executor.move(_away(0.0), is_open, step_s=0.2))
    assert [is_open for _, is_open in env.commands] == [True] * 7 + [False] * 5


class Streaming:
    """Answers with three poses at a time, and comes a centimetre nearer to a goal that it never reaches."""

    def reset(self):
        self.asked = 0

    def act(self, observation, path, instruction):
        self.asked += 1
        return FakeMotion(np.stack([_away(0.01)] * 3), np.array([True] * 3), step_s=0.2)


def test_replanning_counts_a_stream_of_poses_as_one():
    planner, policy = FakePlanner(), Streaming()
    result = rollout(FakeEnv(goal=(0, 0.5, 0.5)), planner, policy, replan_every=2, max_steps=48)
    assert result.outcome == "timeout" and policy.asked == 4 and result.n_keyposes == 4 and len(result.paths) == 2
