"""Whatever one client does, the server stays healthy and serves the others."""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import struct
import threading
import time
import urllib.request

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.serving.policy.fakes import FakePolicy, encode, foreign_client, observation, opened, serving

FUZZ = int(os.environ.get("HAMSTER_FUZZ", "150"))
WHOLE = msgpack.packb(observation(), default=encode)


def health(port) -> tuple[int, bytes, float]:
    started = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status, answer.read(), time.monotonic() - started


def kind(answer) -> str:
    return json.loads(answer)["error"]["type"]


def is_well(port) -> bool:
    with foreign_client(port) as ask:
        return health(port)[:2] == (200, b"OK\n") and "actions" in ask(observation())


@pytest.fixture(scope="module")
def port():
    with serving(body_bytes=1 << 20) as port:
        yield port


@pytest.fixture
def slow():
    """A policy that infers until told otherwise: (policy, began, go_on)."""
    policy, began, go_on = FakePolicy(), threading.Event(), threading.Event()
    policy.shared["act"] = lambda: (began.set(), go_on.wait(20))
    yield policy, began, go_on
    go_on.set()


def send(port, message=WHOLE):
    """A connection with a question that nobody has waited for."""
    client = opened(port)
    client.send(message)
    return client


def test_it_answers_its_health_check_while_it_infers(slow):
    policy, began, go_on = slow
    with serving(policy) as port:
        client = send(port)
        assert began.wait(5)
        assert all(health(port)[:2] == (200, b"OK\n") for _ in range(20))
        go_on.set()
        assert isinstance(client.recv(timeout=5), bytes)
        client.close()


def test_one_inference_at_a_time_and_all_are_answered():
    policy, running, most = FakePolicy(), [], []

    def act():
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    policy.shared["act"] = act
    with serving(policy) as port:
        clients = [send(port) for _ in range(6)]
        assert all(isinstance(client.recv(timeout=10), bytes) for client in clients)
        [client.close() for client in clients]
    assert max(most) == 1


@pytest.mark.parametrize("limits", [{"deadline_s": 0.5}, {"inference_s": 0.5}])
def test_an_inference_that_overruns_is_a_typed_error_and_frees_the_others(slow, limits):
    policy, began, _ = slow
    with serving(policy, **limits) as port:
        client = send(port)
        assert began.wait(5)
        policy.shared.pop("act")  # the next inferences are quick; the first one hangs on
        assert kind(client.recv(timeout=10)) == "deadline"
        with pytest.raises(ConnectionClosed):  # what the policy remembers of the episode is not what happened
            client.recv(timeout=5)
        assert is_well(port)


def test_a_policy_that_fails_tells_the_log_and_not_the_client(port, caplog):
    policy = FakePolicy()
    policy.shared["act"] = lambda: 1 / 0
    with serving(policy) as port, foreign_client(port) as ask:
        answer = ask(observation())
        assert kind(answer) == "internal" and "Zero" not in answer and "File" not in answer
        with pytest.raises(ConnectionClosed):
            ask(observation())
        del policy.shared["act"]
        assert is_well(port)
    assert "ZeroDivisionError" in caplog.text


def test_a_motion_that_is_not_finite_is_no_action():
    policy = FakePolicy()
    with serving(policy) as port, foreign_client(port) as ask:
        policy.shared["act"] = lambda: policy.shared["seen"][-1][0].tool_pose_world.__setitem__((0, 3), float("nan"))
        assert kind(ask(observation())) == "not_finite"


def test_an_idle_client_makes_room():
    with serving(idle_s=1.0, connections=1) as port, foreign_client(port) as ask:
        assert kind(ask.socket.recv(timeout=5)) == "idle"
        with pytest.raises(ConnectionClosed):
            ask.socket.recv(timeout=5)
        assert is_well(port)


def wait_for_a_place(port: int) -> None:
    """Until somebody new is served."""
    for _ in range(100):
        try:
            assert is_well(port)
            return
        except InvalidStatus:
            time.sleep(0.05)
    pytest.fail("the places of those who left were never free again")


def test_too_many_clients_are_turned_away_but_health_is_answered():
    with serving(connections=2) as port:
        with foreign_client(port), foreign_client(port):
            with pytest.raises(InvalidStatus) as refused, foreign_client(port):
                pass
            assert refused.value.response.status_code == 503 and kind(refused.value.response.body) == "busy"
            assert health(port)[0] == 200
        wait_for_a_place(port)


def test_web_pages_are_not_robots(port):
    with pytest.raises(InvalidStatus) as refused, foreign_client(port, origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    assert kind(refused.value.response.body) == "browser_origin_forbidden"


def test_a_name_that_was_rebound_to_this_machine_is_refused_without_a_key(port):
    request = b"GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    request += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        response = connection.recv(4096)
    assert b" 403 " in response.partition(b"\r\n")[0] and b"unknown_host" in response


def test_text_is_refused_and_the_connection_stays(port):
    with foreign_client(port) as ask:
        assert kind(ask("hello", raw=True)) == "malformed"
        assert "actions" in ask(observation())


def test_random_and_damaged_messages_are_refused_on_a_connection_that_stays(port):
    rng = random.Random(0)
    with foreign_client(port) as ask:
        for _ in range(FUZZ):
            data = bytearray(
                rng.choice([WHOLE, rng.randbytes(rng.randrange(300)), b"\x91" * 2000, b"\xdd" + b"\xff" * 9])
            )
            for _ in range(rng.randrange(4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            answer = ask(bytes(data[: rng.randrange(len(data) + 1)]), raw=True)
            assert isinstance(answer, dict) or kind(answer) in (
                "malformed",
                "oversized",
                "not_finite",
                "invalid_path",
                "no_path",
            )
        assert "actions" in ask(observation())


def raw(port, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(data)
    return client


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(5000),
        b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
        b"GET /" + b"a" * 100_000,
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        UPGRADE + random.Random(2).randbytes(5000),
        UPGRADE + b"\x82\xff" + struct.pack("!Q", 2**62) + b"mask",
        UPGRADE + b"\x82\xff" + struct.pack("!Q", 2**63 - 1) + b"mask" + bytes(100_000),
        UPGRADE + b"\x02\x81mask." + b"\x00\x81mask." * 5000,
        UPGRADE + b"\x89\x80mask" * 5000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_raw_bytes_harm_nobody(port, data):
    try:
        clients = [raw(port, data) for _ in range(3)]
    except OSError:  # it hung up while we were still talking
        clients = []
    assert is_well(port)
    [client.close() for client in clients]


def test_a_client_that_never_reads_is_sent_away_while_others_are_served():
    policy = FakePolicy({"horizon": 20_000})  # answers of 4 MB, more than the network's buffers hold
    with serving(policy, write_s=1.0) as port:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.settimeout(5)
        client.sendall(UPGRADE)
        question = b"\x82\xfe" + struct.pack("!H", len(WHOLE)) + bytes(4) + WHOLE
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(200):
                client.sendall(question)
                assert is_well(port)
        client.close()


def test_clients_that_leave_in_the_middle_leave_nothing_behind(slow):
    policy, began, go_on = slow
    with serving(policy, connections=4) as port:
        for _ in range(4):
            client = send(port)
            assert began.wait(5)
            client.socket.shutdown(socket.SHUT_RDWR)
            client.close_socket()
        half = raw(port, UPGRADE + b"\x82\xfe\xff\xffmask" + bytes(100))
        half.close()
        assert health(port)[0] == 200
        go_on.set()
        wait_for_a_place(port)


def test_stopping_answers_what_is_in_work_and_hangs_up_on_the_rest(slow):
    policy, began, go_on = slow
    with serving(policy) as port:
        asked, idle = send(port), opened(port)
        assert began.wait(5)
        threading.Timer(0.5, go_on.set).start()
        # Leaving the block stops the server and waits for its end.
    assert b"actions" in asked.recv(timeout=1)
    for client in (asked, idle):
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=1)
        assert closed.value.rcvd.code == 1001


def test_stopping_does_not_wait_for_ever(slow, caplog):
    policy, began, _ = slow
    with serving(policy, drain_s=0.3) as port:
        client = send(port)
        assert began.wait(5)
        started = time.monotonic()
    assert time.monotonic() - started < 5 and "unanswered" in caplog.text
    client.close()


def test_messages_are_not_kept(port):
    """What was sent last is not held until the next comes."""
    import tracemalloc

    with serving() as port, foreign_client(port) as ask:
        big = observation(prompt="x" * 1999)
        ask(big)
        tracemalloc.start()
        for _ in range(20):
            ask(big)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert grown < 1 << 20


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Authorization", "Api-Key secret")], 101),
        ([("authorization", "api-key   secret ")], 101),
        ([], 401),
        ([("Authorization", "Bearer secret")], 401),
        ([("Authorization", "Api-Key Secret")], 401),
        ([("Authorization", "Api-Key \x80")], 401),
        ([("Authorization", "Api-Key secret"), ("Authorization", "Api-Key secret")], 401),
    ],
)
def test_one_key_under_a_scheme_in_any_case_opens_the_door(headers, status):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    handshake = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with serving(api_key="secret") as port, socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(handshake.encode("latin-1"))
        assert client.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())
