"""Success that lasts, and episodes that end because nothing can come of them."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.rollout import rollout
from tests.rollout.fakes import FakeEnv, FakePlanner, FakePolicy

FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.3), (0.5, 0.1, 0.1))


class FlickeringEnv(FakeEnv):
    """Done at these control steps, counted from 1, whatever is commanded."""

    def __init__(self, done_at, **options):
        super().__init__(**options)
        self.done_at = done_at

    def step(self, tool_pose_world, gripper_open):
        super().step(tool_pose_world, gripper_open)
        return len(self.commands) in self.done_at


def test_success_is_what_remains_while_the_last_command_is_held():
    env = FlickeringEnv(range(7, 100))
    result = rollout(env, FakePlanner(), FakePolicy(FAR), hold_steps=10)
    assert result.success and result.n_steps == 17
    held = env.commands[6]
    assert all((pose == held[0]).all() and is_open == held[1] for pose, is_open in env.commands[6:])


def test_an_episode_whose_success_does_not_last_goes_on():
    result = rollout(FlickeringEnv(range(7, 12)), FakePlanner(), FakePolicy(FAR), hold_steps=10, max_steps=40)
    assert result.outcome == "timeout" and result.n_steps == 40
    env = FlickeringEnv([7, *range(30, 100)])
    result = rollout(env, FakePlanner(), FakePolicy(FAR), hold_steps=10, max_steps=60)
    assert result.success and result.n_steps == 40
    without = FakeEnv(goal=(0, 0, 0))
    rollout(without, FakePlanner(), FakePolicy(FAR), max_steps=40)
    moved_on = env.commands[:7] + env.commands[17:30]  # what was held is left out: the motion goes on where it stopped
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(moved_on, without.commands, strict=False))


def test_a_success_at_the_last_step_is_still_judged_to_its_end():
    result = rollout(FlickeringEnv(range(20, 100)), FakePlanner(), FakePolicy(FAR), hold_steps=10, max_steps=20)
    assert result.success and result.n_steps == 30


class WatchedEnv(FakeEnv):
    has_failed_at = 10**9

    def positions_world(self):
        return np.stack([self.pose[:3, 3], [0.3, 0.3, 0.0]])

    def is_failed(self):
        return len(self.commands) >= self.has_failed_at


def test_an_episode_in_which_nothing_moves_is_stalled():
    env = WatchedEnv(goal=(0.0, 0.5, 0.5))
    result = rollout(env, FakePlanner(), FakePolicy(), idle_steps=25, max_steps=300)
    way = np.array([pose[:3, 3] for pose, _ in env.commands])
    assert result.outcome == "stalled" and not result.success and result.is_measured
    assert np.ptp(way[-25:], axis=0).max() <= 0.01 and np.linalg.norm(way[-27] - way[-1]) > 0.0
    assert rollout(env, FakePlanner(), FakePolicy(), max_steps=300).outcome == "timeout"


def test_a_robot_that_waits_for_its_planner_is_not_stalled():
    result = rollout(WatchedEnv(), FakePlanner(), FakePolicy(FAR), idle_steps=25, replan_every=1, planner_latency_s=2.0)
    assert result.success and result.n_steps > 3 * 40


def test_an_episode_ends_once_it_cannot_succeed_if_that_is_wanted():
    env = WatchedEnv(goal=(0.0, 0.5, 0.5))
    env.has_failed_at = 12
    result = rollout(env, FakePlanner(), FakePolicy(), stop_when_failed=True, max_steps=60)
    assert result.outcome == "failed" and result.n_steps == 12
    assert rollout(env, FakePlanner(), FakePolicy(), max_steps=60).outcome == "timeout"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"idle_steps": 25}, "idle_steps needs positions_world"),
        ({"stop_when_failed": True}, "stop_when_failed needs is_failed"),
        ({"hold_steps": -1}, "hold_steps must be >= 0"),
        ({"max_steps": 0}, "max_steps must be >= 1"),
    ],
)
def test_what_an_environment_cannot_tell_is_one_line(setting, message):
    with pytest.raises(ValueError, match=message):
        rollout(FakeEnv(), FakePlanner(), FakePolicy(), **setting)
