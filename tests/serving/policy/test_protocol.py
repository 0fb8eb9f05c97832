"""openpi's protocol, spoken by clients that were not written here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hamster.geometry import matrix_from_quaternion
from hamster.serving.policy import PolicyLimits
from tests.serving.policy.fakes import PATH, TOOL, FakePolicy, foreign_client, observation, serving, view

pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")  # openpi's client


@pytest.fixture(scope="module")
def policy():
    return FakePolicy()


@pytest.fixture(scope="module")
def port(policy):
    with serving(policy, body_bytes=4 << 20) as port:
        yield port


@pytest.fixture
def openpi(port):
    """openpi's own client."""
    module = pytest.importorskip("openpi_client.websocket_client_policy", reason="openpi-client is not installed")
    client = module.WebsocketClientPolicy("127.0.0.1", port)
    yield client
    client._ws.close()


def test_openpis_client_is_told_who_serves_and_gets_actions(openpi):
    assert openpi.get_server_metadata() == {"policy": "fake"}
    answer = openpi.infer(observation())
    assert answer["actions"].shape == (2, 8) and answer["actions"].dtype == np.float64
    assert answer["poses"].shape == (2, 4, 4) and answer["step_s"] is None
    assert answer["policy_timing"]["infer_ms"] >= 0
    assert answer["server_timing"]["infer_ms"] >= answer["policy_timing"]["infer_ms"]
    assert "prev_total_ms" not in answer["server_timing"]
    assert openpi.infer(observation())["server_timing"]["prev_total_ms"] > 0


def test_an_action_is_position_quaternion_and_gripper_in_the_world(openpi):
    answer = openpi.infer(observation())
    np.testing.assert_allclose(answer["actions"][:, :3], TOOL[None, :3, 3] + [[0.01, 0, 0]] * 2)
    np.testing.assert_allclose(matrix_from_quaternion(answer["actions"][:, 3:7]), answer["poses"][:, :3, :3], atol=1e-9)
    assert answer["actions"][:, 7].tolist() == [1, 0]


def test_the_policy_gets_exactly_what_was_sent(openpi, policy):
    sent = observation()
    openpi.infer(sent)
    seen, path, instruction = policy.shared["seen"][-1]
    assert instruction == sent["prompt"] and seen.gripper == sent["gripper"]
    np.testing.assert_array_equal(seen.tool_pose_world, sent["tool_pose_world"])
    for name, value in sent["views"]["front"].items():
        there = getattr(seen.views["front"], name, None)
        np.testing.assert_array_equal(there if there is not None else getattr(seen.views["front"].camera, name), value)
    assert seen.views["front"].rgb.dtype == np.uint8 and seen.views["front"].depth_m.dtype == np.float32
    np.testing.assert_array_equal(path.uv, PATH["uv"])
    assert path.gripper.tolist() == [0, 1]


def test_openpis_client_takes_a_refusal_for_an_error_and_goes_on(openpi):
    first = openpi.infer(observation())["actions"][0, 0]
    depth_m = np.full((32, 32), np.nan, np.float32)
    with pytest.raises(RuntimeError, match=r'"type": "not_finite".*depth_m') as refused:
        openpi.infer(observation(views={"front": view() | {"depth_m": depth_m}}))
    assert "Traceback" not in str(refused.value)
    assert openpi.infer(observation())["actions"][0, 0] == pytest.approx(first + 0.01)  # the same episode


def test_openpis_client_learns_that_a_message_was_too_long(openpi, port):
    with pytest.raises(RuntimeError, match='"type": "oversized"'):
        openpi.infer(observation(views={"front": view(1024)}))
    with foreign_client(port) as ask:
        assert "actions" in ask(observation())


def test_the_independent_client_agrees(port):
    with foreign_client(port) as ask:
        assert ask.metadata == {"policy": "fake"}
        assert ask(observation())["actions"].shape == (2, 8)
        error = json.loads(ask({"views": 3}))["error"]
        assert error["type"] == "malformed" and "views" in error["message"]


def test_every_connection_is_an_episode_of_its_own(port):
    with foreign_client(port) as one, foreign_client(port) as other:
        xs = [ask(observation())["actions"][0, 0] - TOOL[0, 3] for ask in (one, one, other, one, other)]
    np.testing.assert_allclose(xs, [0.01, 0.02, 0.01, 0.03, 0.02])


def test_reset_begins_a_new_episode(port):
    with foreign_client(port) as ask:
        ask(observation())
        assert ask({"reset": True})["reset"] is True
        again = ask(observation())["actions"][0, 0] - TOOL[0, 3]
        ask(observation())
        inline = ask(observation(reset=True))["actions"][0, 0] - TOOL[0, 3]
        np.testing.assert_allclose([again, inline], [0.01, 0.01])


def test_a_path_stands_until_another_is_stated(port, policy):
    with foreign_client(port) as ask:
        without = {key: value for key, value in observation().items() if key != "path"}
        assert json.loads(ask(without))["error"]["type"] == "no_path"
        for message in (observation(), observation(), without, observation(path=PATH | {"gripper": ["closed"] * 2})):
            assert "actions" in ask(message)
        assert "actions" in ask(observation(path=None)) and "actions" in ask(without)
    first, same, kept, other, none, still_none = [path for _, path, _ in policy.shared["seen"][-6:]]
    assert first is same is kept  # a policy puts a path into the world when it sees a new object
    assert other is not kept and other.gripper.tolist() == [0, 0]
    assert none is None and still_none is None


def test_a_planners_text_is_a_path(port, policy):
    with foreign_client(port) as ask:
        text = "<ans>[(0.25, 0.30), <action>Close Gripper</action>, (0.75, 0.20)]</ans>"
        assert "actions" in ask(observation(path={"text": text}))
        np.testing.assert_allclose(policy.shared["seen"][-1][1].uv, [[0.25, 0.3], [0.75, 0.2]])
        assert json.loads(ask(observation(path={"text": "no path"})))["error"]["type"] == "invalid_path"


def test_a_refused_path_is_not_followed_later(port, policy):
    """A policy that raised over a new path must not be asked with the same object again."""
    with foreign_client(port) as ask:
        ask(observation(path=None))
        policy.shared["act"] = lambda: (_ for _ in ()).throw(ValueError("the view 'wrist' is missing"))
        assert json.loads(ask(observation()))["error"] == {"type": "invalid", "message": "the view 'wrist' is missing"}
        refused = policy.shared["seen"][-1][1]
        del policy.shared["act"]
        ask(observation())
        assert policy.shared["seen"][-1][1] is not refused and policy.shared["seen"][-1][1] == refused


def test_defaults_are_modest():
    assert PolicyLimits().body_bytes <= 64 << 20 and PolicyLimits().connections <= 16
