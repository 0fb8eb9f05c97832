"""A policy over the wire is the policy: same actions, and sessions that share weights share nothing else."""

from __future__ import annotations

import copy

import numpy as np
from hamster_client.wire import pack

from hamster.policy import load_policy
from hamster.serving.policy import server_metadata
from hamster.serving.policy.request import read_request
from hamster.serving.policy.session import Session
from tests.serving.policy.fakes import PATH, TOOL, observation, view


def moved(step: int) -> dict:
    tool = TOOL.copy()
    tool[0, 3] += 0.02 * step
    views = dict.fromkeys(("front", "wrist"), view())
    return observation(
        views=views, tool_pose_world=tool, path=PATH | {"uv": np.array([[0.2 + 0.1 * step, 0.3], [0.5, 0.6]])}
    )


def test_sessions_share_weights_and_nothing_else():
    policy = load_policy()
    new = lambda: Session(copy.copy(policy))  # noqa: E731
    ask = lambda session, step: session.answer(pack(moved(step)))["actions"]  # noqa: E731
    alone = [[ask(session, step) for step in steps] for steps, session in (([0, 1, 2], new()), ([3, 0, 1], new()))]
    one, other = new(), new()
    mixed = [(ask(one, a), ask(other, b)) for a, b in zip([0, 1, 2], [3, 0, 1], strict=True)]
    np.testing.assert_array_equal([a for a, _ in mixed], alone[0])
    np.testing.assert_array_equal([b for _, b in mixed], alone[1])


def test_what_is_served_is_what_the_policy_does():
    policy, session = load_policy(), Session(load_policy())
    policy.reset()
    for step in range(3):
        request = read_request(moved(step))
        motion = policy.act(request.observation, request.path, request.instruction)
        np.testing.assert_array_equal(session.answer(pack(moved(step)))["poses"], motion.poses)


def test_metadata_is_plain():
    said = server_metadata(load_policy(), "nano")
    assert pack(said) and said["policy"] == "nano" and said["cameras"] and said["family"]
    assert said["actions"]["executed"] == 1 and said["actions"]["step_s"] is None
    assert server_metadata(object(), "elsewhere")["weights_sha256"] is None
