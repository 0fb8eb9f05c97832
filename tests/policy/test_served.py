"""A served policy is the policy: the same episode, and each failure of server or network by its name."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

import hamster
from hamster.data import Observation, View
from hamster.evaluate.suites import find_suite
from hamster.policy import PolicyError, PolicyUnavailableError, load_policy
from hamster.policy.base import ActionChunk
from hamster.serving.policy import server_metadata
from tests.serving.policy.fakes import TOOL, serving

PATH = hamster.Path2D(np.array([[0.1, 0.2], [0.5, 0.6]]), np.array([0, 1], np.int8))


class Still:
    """Stays where it is, or does what `fault` says."""

    def __init__(self, fault=None):
        self.fault, self.paths = fault, []

    def reset(self):
        self.paths.clear()

    def act(self, observation, path, instruction=""):
        self.paths.append(path)
        if self.fault is not None:
            raise self.fault
        poses = np.stack([observation.tool_pose_world] * 2)
        return ActionChunk(poses, np.array([True, False]), 0.1, np.array([0.0, 1.0]))


class Expert:
    """Draws the path of the scene's expert."""

    def __init__(self, env):
        self._env = env

    def plan(self, image, instruction):
        return hamster.Plan((self._env.expert_path(),), "")


@contextmanager
def served(policy, metadata=None, api_key=None):
    """The address of a server, and the function that ends it."""
    with ExitStack() as running:
        port = running.enter_context(serving(policy, api_key, metadata or {"server": "hamster-vla", "policy": "fake"}))
        yield f"ws://127.0.0.1:{port}", running.close


def observation():
    return Observation({"front": View(np.zeros((32, 32, 3), np.uint8), None, None)}, TOOL, 0.2, 0.0)


def test_an_episode_with_a_served_policy_is_that_of_the_policy():
    local, suite = load_policy(), find_suite("tabletop")
    with served(local, server_metadata(local, "nano")) as (address, _):
        remote = load_policy(address)
        assert remote.cameras == local.cameras and remote.identity["weights_sha256"]
        ends = []
        for policy in (local, remote):
            env = suite.make("pick_place", 5)
            ends.append(hamster.rollout(env, Expert(env), policy))
            env.close()
    one, other = ends
    assert one.success and other.outcome == one.outcome and other.n_steps == one.n_steps
    assert other.n_keyposes == one.n_keyposes


def test_actions_come_as_they_were_and_every_episode_begins_anew():
    with served(Still()) as (address, _):
        policy = load_policy(address)
        for _ in range(2):
            policy.reset()
            for path in (None, PATH):
                chunk = policy.act(observation(), path)
                np.testing.assert_array_equal(chunk.poses, [TOOL, TOOL])
                assert chunk.gripper_open.tolist() == [True, False] and chunk.step_s == 0.1
                assert chunk.contact_prob.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("fault", "raised"), [(PolicyError("not a number"), PolicyError), (ValueError("no view wrist"), ValueError)]
)
def test_what_the_policy_raises_there_is_raised_here(fault, raised):
    with served(Still(fault)) as (address, _), pytest.raises(raised, match=str(fault)):
        load_policy(address).act(observation(), PATH)


def test_a_server_that_goes_is_an_outage_until_the_next_episode():
    with served(Still()) as (address, end):
        policy = load_policy(address)
        policy.act(observation(), PATH)
        end()
        for reason in ("lost", "reset first"):
            with pytest.raises(PolicyUnavailableError, match=reason) as raised:
                policy.act(observation(), PATH)
            assert "\n" not in str(raised.value)


def test_a_rollout_names_the_outage_and_does_not_count_it():
    env = find_suite("tabletop").make("press", 5)
    with served(Still()) as (address, end):
        policy = load_policy(address)
        end()
        policy._client._connect_timeout_s = 0.2
        result = hamster.rollout(env, Expert(env), policy)
    env.close()
    assert result.outcome == "policy_unavailable" and not result.is_measured


@pytest.mark.parametrize("answer", [
    {}, {"poses": np.zeros((0, 4, 4)), "actions": np.zeros((0, 8)), "step_s": None},
    {"poses": np.full((1, 4, 4), np.nan), "actions": np.zeros((1, 8)), "step_s": None},
    {"poses": np.tile(np.eye(4), (2, 1, 1)), "actions": np.zeros((1, 8)), "step_s": None},
    {"poses": np.tile(np.eye(4), (1, 1, 1)), "actions": np.zeros((1, 8)), "step_s": -1.0},
    {"poses": "far", "actions": np.zeros((1, 8)), "step_s": None},
])  # fmt: skip
def test_an_answer_that_is_no_motion_is_refused(answer, monkeypatch):
    with served(Still()) as (address, _):
        policy = load_policy(address)
        monkeypatch.setattr(policy._client, "infer", lambda message: answer)
        with pytest.raises(ValueError, match="holds no motion"):
            policy.act(observation(), PATH)


@pytest.mark.parametrize(
    "address", ["ws://", "ws://host:port", "ws://127.0.0.1:0/x", "ws://a@b:1", "ws://127.0.0.1:99999"]
)
def test_an_address_that_is_none_is_one_line(address):
    with pytest.raises(ValueError, match="address is ws://HOST:PORT"):
        load_policy(address)


def test_keys_and_strangers(monkeypatch):
    monkeypatch.delenv("HAMSTER_API_KEY", raising=False)
    with served(Still(), api_key="secret") as (address, _):
        with pytest.raises(ValueError, match="refuses the connection"):
            load_policy(address)
        monkeypatch.setenv("HAMSTER_API_KEY", "secret")
        load_policy(address).act(observation(), None)
    with served(Still(), metadata={"server": "openpi"}) as (address, _), pytest.raises(ValueError, match="hamster-vla"):
        load_policy(address)
    with pytest.raises(ValueError, match="has no checkpoint on this machine"):
        hamster.policy.find_policy("ws://127.0.0.1:8000")
