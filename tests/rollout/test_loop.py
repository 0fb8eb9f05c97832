from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hamster.path import NotInViewError, Path2D
from hamster.policy import PolicyError
from hamster.rollout import BrokenEnvironmentError, SafetyFilter, rollout
from tests.rollout.fakes import START, FakeEnv, FakePlanner, FakePolicy, a_path

FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.3), (0.5, 0.1, 0.1))


def test_a_policy_that_reaches_the_goal_succeeds_and_stops_there():
    env, planner, policy = FakeEnv(), FakePlanner(), FakePolicy(FAR)
    result = rollout(env, planner, policy)
    assert result.success and result.outcome == "success"
    assert result.n_steps == len(env.commands) and result.n_keyposes == 3
    assert len(result.policy_s) == 3 and len(result.planner_s) == 1
    assert not env.commands[-1][1] and np.allclose(env.pose[:3, 3], env.goal, atol=0.01)


def test_the_policy_sees_the_planners_path_and_the_instruction():
    policy = FakePolicy()
    rollout(FakeEnv(), FakePlanner(), policy)
    _, path, instruction = policy.seen[0]
    assert path == a_path(0.1) and instruction == "move the dot"
    assert policy.resets == 1


def test_the_planner_sees_the_front_image_of_the_start():
    planner = FakePlanner()
    rollout(FakeEnv(), planner, FakePolicy(FAR))
    [(image, instruction)] = planner.seen
    assert image.shape == (32, 32, 3) and (image == 0).all() and instruction == "move the dot"


def test_without_a_planner_there_is_no_path():
    policy = FakePolicy()
    result = rollout(FakeEnv(), None, policy)
    assert policy.seen[0][1] is None and result.paths == () and result.planner_s == ()
    assert (result.video.path_index == -1).all()


def test_a_plan_error_ends_the_episode_without_a_path_or_a_step():
    env, policy = FakeEnv(), FakePolicy()
    result = rollout(env, FakePlanner(fails=(0,)), policy)
    assert result.outcome == "plan_error" and not result.success
    assert "no closing tag" in result.message and result.raw_texts == ("<ans>[(0.1,",)
    assert result.paths == () and policy.seen == [] and env.commands == []


def test_what_is_not_in_view_is_an_outcome_of_its_own():
    env = FakeEnv()
    result = rollout(env, FakePlanner(fails=(0,), error=NotInViewError), FakePolicy())
    assert result.outcome == "not_in_view" and not result.success and env.commands == []


@pytest.mark.parametrize(("every", "questions"), [(0, 1), (1, 3), (2, 2)])
def test_replanning_asks_every_so_many_keyposes_and_the_policy_gets_the_newest_path(every, questions):
    policy = FakePolicy(FAR)
    result = rollout(FakeEnv(), FakePlanner(), policy, replan_every=every)
    assert len(result.paths) == questions
    assert policy.seen[-1][1] == result.paths[-1]
    assert result.video.path_index[-1] == questions - 1


@pytest.mark.parametrize(("opening", "states"), [(1.0, {True}), (0.2, {False}), (None, {True})])
def test_a_gripper_that_is_closed_at_the_start_stays_closed_on_the_way(opening, states):
    env = FakeEnv(goal=(0, 0, 0))
    observe = env.observe
    env.observe = lambda: replace(observe(), gripper=opening)
    rollout(env, None, FakePolicy(), max_steps=8, video_every=0)
    assert {is_open for _, is_open in env.commands} == states


def test_a_policy_that_never_arrives_times_out_at_the_step_limit():
    result = rollout(FakeEnv(goal=(0.0, 0.5, 0.5)), FakePlanner(), FakePolicy(), max_steps=57)
    assert result.outcome == "timeout" and result.n_steps == 57


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_motion_that_is_not_finite_moves_nothing(bad):
    pose = START.copy()
    pose[0, 3] = bad
    env = FakeEnv()
    result = rollout(env, FakePlanner(), FakePolicy((pose,)))
    assert result.outcome == "unsafe_action" and "not finite" in result.message and env.commands == []


def test_a_policy_whose_answer_is_no_motion_ends_the_episode_as_such():
    class Broken(FakePolicy):
        def act(self, observation, path, instruction=""):
            raise PolicyError("the policy's answer is not finite (position)")

    env = FakeEnv()
    result = rollout(env, FakePlanner(), Broken())
    assert result.outcome == "policy_error" and not result.success and env.commands == []
    assert "not finite" in result.message


def test_a_motion_out_of_the_workspace_moves_nothing():
    env = FakeEnv()
    result = rollout(env, None, FakePolicy(((0.5, 0.0, -0.5),)), safety_filter=SafetyFilter())
    assert result.outcome == "unsafe_action" and "outside" in result.message and env.commands == []


def test_a_broken_environment_is_recorded_as_such():
    class Broken(FakeEnv):
        def step(self, tool_pose_world, gripper_open):
            raise BrokenEnvironmentError("simulation diverged")

    result = rollout(Broken(), FakePlanner(), FakePolicy())
    assert result.outcome == "env_error" and result.message == "simulation diverged"
    assert not result.is_measured and not result.success


def test_a_broken_environment_need_not_show_its_last_frame():
    class Gone(FakeEnv):
        def step(self, tool_pose_world, gripper_open):
            self.is_gone = True
            raise BrokenEnvironmentError("the robot stopped answering")

        def front_image(self):
            if getattr(self, "is_gone", False):
                raise BrokenEnvironmentError("the camera, too")
            return super().front_image()

    result = rollout(Gone(), FakePlanner(), FakePolicy(), video_every=4)
    assert result.outcome == "env_error" and result.message == "the robot stopped answering"


def test_our_own_bugs_are_not_swallowed():
    class Buggy(FakePolicy):
        def act(self, observation, path, instruction):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rollout(FakeEnv(), FakePlanner(), Buggy())


@pytest.mark.parametrize("every", [1, 3, 4])
def test_the_film_has_the_start_every_so_many_steps_and_the_end(every):
    env = FakeEnv()
    result = rollout(env, FakePlanner(), FakePolicy(FAR), video_every=every)
    shown = result.video.frames[:, 0, 0, 0].tolist()
    assert shown == sorted({*range(0, result.n_steps + 1, every), result.n_steps})
    assert result.video.fps == pytest.approx(20 / every)


def test_the_record_is_json_and_its_paths_come_back():
    import json

    result = rollout(FakeEnv(), FakePlanner(), FakePolicy())
    record = json.loads(json.dumps(result.to_json()))
    assert record["success"] is True and Path2D.from_json(record["paths"][0]) == a_path(0.1)


class HastyPlanner:
    """Believes that the gripper is closed."""

    def plan(self, image, instruction):
        uv = [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]]
        return SimpleNamespace(paths=(Path2D(uv, [0, 1, 0, 1]),), raw_text="")


@pytest.mark.parametrize(("opening", "states"), [(1.0, [-1, -1, 0, 1]), (0.0, [0, 1, 0, 1])])
def test_an_open_gripper_is_not_believed_to_be_closed(opening, states):
    env, policy = FakeEnv(), FakePolicy()
    seen = env.observe
    env.observe = lambda: replace(seen(), gripper=opening)
    rollout(env, HastyPlanner(), policy)
    assert policy.seen[0][1].gripper.tolist() == states
