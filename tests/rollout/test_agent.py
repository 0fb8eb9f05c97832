"""An agent returns, observation by observation, the commands that `rollout` would have sent."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.data import Observation
from hamster.geometry import matrix_from_quaternion
from hamster.path import NotInViewError
from hamster.planner.error import PlannerUnavailableError
from hamster.policy import PolicyError
from hamster.rollout import rollout
from hamster.rollout.agent import Agent
from tests.rollout.fakes import START, FakeEnv, FakeMotion, FakePlanner, FakePolicy, a_path

FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.3), (0.5, 0.1, 0.1))


class Stream(FakePolicy):
    def act(self, observation, path, instruction):
        motion = super().act(observation, path, instruction)
        between = START.copy()
        between[:3, 3] = (START[:3, 3] + motion.poses[0, :3, 3]) / 2
        return FakeMotion(np.stack([between, motion.poses[0]]), np.array([True, motion.gripper_open[0]]), 0.4)


def run(agent, env, most=200):
    """Step an environment with an agent's actions, as a harness does."""
    while len(env.commands) < most:
        for action in agent.act(env.observe(), env.instruction):
            pose = np.eye(4)
            pose[:3, 3], pose[:3, :3] = action[:3], matrix_from_quaternion(action[3:7])
            if env.step(pose, bool(action[7])):
                return True
    return False


@pytest.mark.parametrize("policy", [FakePolicy, Stream])
@pytest.mark.parametrize("replan_every", [0, 1, 2])
def test_its_commands_are_those_of_rollout(policy, replan_every):
    ours, theirs = FakeEnv(), FakeEnv()
    planners = FakePlanner(), FakePlanner()
    assert run(Agent(planners[0], policy(FAR), replan_every=replan_every), ours)
    assert rollout(theirs, planners[1], policy(FAR), replan_every=replan_every).success
    assert [state for _, state in ours.commands] == [state for _, state in theirs.commands]
    assert np.allclose([pose for pose, _ in ours.commands], [pose for pose, _ in theirs.commands], atol=1e-12)
    assert [np.array(image).tolist() for image, _ in planners[0].seen] == [
        np.array(image).tolist() for image, _ in planners[1].seen
    ]


def test_a_reset_begins_a_new_episode_with_a_path_of_its_own():
    planner, policy = FakePlanner(), FakePolicy(FAR)
    agent = Agent(planner, policy)
    run(agent, FakeEnv())
    agent.reset()
    assert agent.path is None and policy.resets == 2
    agent.act(FakeEnv().observe(), "again")
    assert agent.path == a_path(0.2) and planner.seen[-1][1] == "again"


def test_without_a_planner_the_policy_has_no_path():
    policy = FakePolicy(FAR)
    Agent(None, policy).act(FakeEnv().observe(), "go")
    assert policy.seen[0][1] is None


class Unsure(FakePolicy):
    def act(self, observation, path, instruction):
        raise PolicyError("not finite")


@pytest.mark.parametrize(
    ("planner", "policy", "reason"),
    [
        (FakePlanner(fails=(0,), error=NotInViewError), FakePolicy(), "no closing tag"),
        (FakePlanner(), Unsure(), "not finite"),
        (FakePlanner(), FakePolicy(((5.0, 0.0, 0.2),)), "workspace"),
    ],
)
def test_it_holds_still_to_the_end_where_there_is_no_answer(planner, policy, reason, caplog):
    agent, env = Agent(planner, policy), FakeEnv()
    assert not run(agent, env, most=5)
    assert np.allclose([pose for pose, _ in env.commands], START) and all(is_open for _, is_open in env.commands)
    assert reason in str(agent.failure) and caplog.text.count("holding still") == 1
    agent.reset()
    assert agent.failure is None


class Away(FakePlanner):
    def plan(self, image, instruction):
        raise PlannerUnavailableError("no server")


def test_what_is_no_failure_of_the_policy_is_raised():
    with pytest.raises(PlannerUnavailableError):
        Agent(Away(), FakePolicy()).act(FakeEnv().observe(), "go")
    with pytest.raises(ValueError, match="lacks the view 'wrist' of the planner; there are: front"):
        Agent(FakePlanner(), FakePolicy(), camera="wrist").act(FakeEnv().observe(), "go")
    with pytest.raises(ValueError, match="tool_pose_world"):
        Agent(None, FakePolicy()).act(Observation({}, None, 1.0, 0.0), "go")
    with pytest.raises(ValueError, match="replan must be"):
        Agent(None, FakePolicy(), replan_every=-1)
