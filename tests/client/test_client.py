"""The robot's side: no stale action, no answer to another question, no silent loss of an episode."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hamster_client import ConnectionLostError, PolicyClient, RequestError, StaleActionError
from websockets.sync.server import serve

from tests.serving.policy.fakes import TOOL, FakePolicy, observation, serving


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def port():
    with serving() as port:
        yield port


def step(answer) -> float:
    return round((answer["actions"][0, 0] - TOOL[0, 3]) / 0.01)


def test_it_asks_and_resets(port):
    with PolicyClient(port=port) as client:
        assert client.get_server_metadata() == {"policy": "fake"}
        assert [step(client.infer(observation())) for _ in range(3)] == [1, 2, 3]
        client.reset()
        assert step(client.infer(observation())) == 1


def test_the_observation_is_not_changed(port):
    sent = observation(captured_s=time.monotonic())
    keys = set(sent)
    with PolicyClient(port=port) as client:
        answer = client.infer(sent)
    assert set(sent) == keys and answer["captured_s"] == sent["captured_s"]


def test_an_answer_that_took_too_long_is_refused():
    clock, policy = Clock(), FakePolicy()
    policy.shared["act"] = lambda: setattr(clock, "now", clock.now + 0.6)
    with serving(policy) as port, PolicyClient(port=port, clock=clock, max_age_s=0.5) as client:
        with pytest.raises(StaleActionError, match=r"0\.600 s old") as stale:
            client.infer(observation())
        assert stale.value.age_s == pytest.approx(0.6)
        policy.shared["act"] = lambda: setattr(clock, "now", clock.now + 0.4)
        assert step(client.infer(observation())) == 2  # the connection is as good as before
        with pytest.raises(StaleActionError):
            client.infer(observation(captured_s=clock.now - 0.2))


def test_the_age_is_that_of_the_observation_and_grows_while_a_chunk_is_executed(port):
    clock = Clock()
    with PolicyClient(port=port, clock=clock, max_age_s=0.5) as client:
        answer = client.infer(observation(captured_s=99.8))
        assert client.check_age(answer) == pytest.approx(0.2)
        clock.now += 0.31
        with pytest.raises(StaleActionError):
            client.check_age(answer)


def test_a_stale_observation_is_not_even_sent(port):
    with PolicyClient(port=port, clock=Clock(), max_age_s=0.5) as client:
        with pytest.raises(StaleActionError):
            client.infer(observation(captured_s=99.0))
        assert step(client.infer(observation())) == 1


@pytest.mark.parametrize("captured_s", [100.1, 1.7e9])
def test_a_time_stamp_ahead_of_the_clock_is_of_unknown_age(port, captured_s):
    with PolicyClient(port=port, clock=Clock()) as client, pytest.raises(StaleActionError, match="ahead of the clock"):
        client.infer(observation(captured_s=captured_s))


@pytest.mark.parametrize("captured_s", [float("nan"), float("inf")])
def test_a_time_stamp_that_is_not_finite_cannot_switch_the_guard_off(port, captured_s):
    with PolicyClient(port=port, clock=Clock()) as client, pytest.raises(ValueError, match="finite reading"):
        client.infer(observation(captured_s=captured_s))


def test_actions_are_stale_once_the_clock_has_stepped_back(port):
    clock = Clock()
    with PolicyClient(port=port, clock=clock) as client:
        answer = client.infer(observation())
        clock.now -= 5
        with pytest.raises(StaleActionError, match=r"5\.000 s ahead of the clock") as stale:
            client.check_age(answer)
        assert stale.value.age_s == pytest.approx(-5)


def test_a_refusal_says_its_type_and_leaves_the_episode_alone(port):
    with PolicyClient(port=port) as client:
        client.infer(observation())
        with pytest.raises(RequestError) as refused:
            client.infer(observation(tool_pose_world=np.full((4, 4), np.nan)))
        assert refused.value.type == "not_finite"
        assert step(client.infer(observation())) == 2


def test_too_long_a_message_is_a_typed_error_too():
    with serving(body_bytes=1 << 16) as port, PolicyClient(port=port) as client:
        with pytest.raises(RequestError) as refused:
            client.infer(observation(views={"front": {"rgb": np.zeros((512, 512, 3), np.uint8)}}))
        assert refused.value.type == "oversized"
        assert "actions" in client.infer(observation(reset=True))


def test_a_lost_connection_is_heard_of_and_then_made_again():
    policy = FakePolicy()
    with serving(policy) as port:
        client = PolicyClient(port=port)
        client.infer(observation())
    client._connect_timeout_s = 0.2
    with pytest.raises(ConnectionLostError, match="lost, and with it the episode"):
        client.infer(observation())
    with pytest.raises(ConnectionLostError, match="no policy server"):
        client.infer(observation())
    with serving(policy) as port, client:
        client._uri = f"ws://127.0.0.1:{port}"
        without = {key: value for key, value in observation().items() if key != "path"}
        with pytest.raises(RequestError) as refused:  # never silently without its path
            client.infer(without)
        assert refused.value.type == "no_path"
        assert step(client.infer(observation())) == 1


def test_the_start_of_an_episode_survives_a_restart_of_the_server():
    with serving() as port:
        client = PolicyClient(port=port)
        client.infer(observation())
    with serving() as port, client:
        client._uri = f"ws://127.0.0.1:{port}"
        assert step(client.infer(observation(reset=True))) == 1


def test_after_a_time_out_the_late_answer_is_nobodys():
    policy, go_on = FakePolicy(), threading.Event()
    policy.shared["act"] = lambda: go_on.wait(10)
    with serving(policy) as port, PolicyClient(port=port, timeout_s=0.3) as client:
        client.get_server_metadata()
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"0\.3 s"):
            client.infer(observation(prompt="first"))
        assert time.monotonic() - started < 10
        go_on.set()
        client._timeout_s = 10
        assert step(client.infer(observation(prompt="second"))) == 1  # of a new episode, not the answer to the first


def test_an_interrupted_question_leaves_no_answer_behind(port, monkeypatch):
    with PolicyClient(port=port) as client:
        client.infer(observation())
        with monkeypatch.context() as patch:
            patch.setattr(client._connection, "recv", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                client.infer(observation())
        assert step(client.infer(observation())) == 1


@contextmanager
def a_socket_that_never_reads():
    """Says hello as a websocket does, then reads nothing."""
    go_on = threading.Event()

    def handler(connection):
        connection.send(b"\x80")
        connection.protocol_mutex.acquire()  # nobody processes what comes
        go_on.wait(20)
        connection.protocol_mutex.release()

    with serve(handler, "127.0.0.1", 0, ping_interval=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        go_on.set()
        server.shutdown()
        thread.join()


def test_a_server_that_never_reads_is_given_up():
    image = np.zeros((2400, 2400, 3), np.uint8)  # more than the buffers of the network hold
    with a_socket_that_never_reads() as port, PolicyClient(port=port, timeout_s=0.5) as client:
        client.get_server_metadata()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            client.infer({"views": {"front": {"rgb": image}}})
        assert time.monotonic() - started < 15  # else it would be the keep-alive that ends it, after 40


@pytest.mark.parametrize("frame", [b"\xff" * 50, b"\xc6\xff\xff\xff\xff", b"\x91" * 9999, b"\x03", "Traceback …"])
def test_whatever_a_server_sends_is_an_answer_or_an_error(frame):
    def handler(connection):
        connection.send(b"\x80")
        for _ in connection:
            connection.send(frame)

    with serve(handler, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with PolicyClient(port=server.socket.getsockname()[1]) as client, pytest.raises(RequestError):
            client.infer({})
        server.shutdown()
        thread.join()


def test_a_server_that_is_full_or_wants_a_key_says_so():
    with serving(api_key="sesame") as port:
        for key in (None, "sesam"):
            with pytest.raises(RequestError) as refused:
                PolicyClient(port=port, api_key=key).reset()
            assert refused.value.type == "unauthorized"
        with PolicyClient(port=port, api_key="sesame") as client:
            client.reset()
    with serving(connections=1) as port, PolicyClient(port=port) as first:
        first.reset()
        with pytest.raises(RequestError) as refused:
            PolicyClient(port=port).reset()
        assert refused.value.type == "busy"


@pytest.mark.parametrize(
    "options", [{"max_age_s": 0}, {"timeout_s": float("nan")}, {"connect_timeout_s": float("inf")}]
)
def test_limits_are_limits(options):
    with pytest.raises(ValueError, match="finite"):
        PolicyClient(**options)


def test_it_needs_nothing_heavy():
    """No torch, nothing of the main package: a robot's Python has neither."""
    code = "import hamster_client, sys; print({m.split('.')[0] for m in sys.modules} & {'torch', 'hamster', 'PIL'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
