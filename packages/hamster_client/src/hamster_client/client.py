"""A connection to a policy server, and a guard that lets no stale action through."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hamster_client.errors import ConnectionLostError, RequestError, StaleActionError
from hamster_client.wire import pack, unpack

Message = dict[str, Any]
MAX_ANSWER_BYTES = 1 << 24
RETRY_S = 0.1
CLOCK_TOLERANCE_S = 0.01


class PolicyClient:
    """Sends observations, returns actions. Not for several threads at once.

    It connects at the first question, and again after a connection was lost. The server keeps an episode (its path, the
    last commands) per connection, so a lost connection in the middle of one is an error that the caller hears of; only
    an observation with `reset`, which needs nothing of before, is sent a second time by itself.

    Args:
        host: where `hamster serve policy` runs.
        port: its port.
        api_key: what a server that others can reach asks for.
        max_age_s: an action is refused when its observation is older than that.
        timeout_s: for one question and its answer.
        connect_timeout_s: for a server that is still starting.
        clock: seconds; what an observation's `captured_s` is a reading of.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        api_key: str | None = None,
        max_age_s: float = 1.0,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not all(0 < limit < math.inf for limit in (max_age_s, timeout_s, connect_timeout_s)):
            raise ValueError("max_age_s, timeout_s and connect_timeout_s must be finite and > 0")
        self._uri = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
        self._headers = {"Authorization": f"Api-Key {api_key}"} if api_key else None
        self._timeout_s, self._connect_timeout_s = timeout_s, connect_timeout_s
        self._clock, self.max_age_s = clock, max_age_s
        self._connection: ClientConnection | None = None
        self._open = ExitStack()  # what is to be closed
        self._metadata: Message = {}

    def get_server_metadata(self) -> Message:
        """Return the server's metadata: policy, cameras, whether it needs depth, the columns of its actions."""
        self._connected()
        return self._metadata

    def infer(self, observation: Mapping[str, Any]) -> Message:
        """Return the next actions.

        Args:
            observation: see docs/serving.md. `captured_s`, the clock when the images were taken, stays here and is
                what the age of the actions is measured against; without it they were taken now.

        Returns:
            "actions" (K, 8), "poses" (K, 4, 4), "step_s", timings, and "captured_s" of its observation for `check_age`.

        Raises:
            StaleActionError: if the observation is too old by the time the answer is there, or newer than the clock.
            ValueError: if `captured_s` is not finite.
            RequestError: if the server refuses the observation.
            ConnectionLostError: if there is no server, or it has forgotten this episode.
            TimeoutError: if there was no answer in time; the connection, and thus the episode, is given up.
        """
        message = dict(observation)
        captured_s = self._checked(message.pop("captured_s", None))
        answer = self._ask(message)
        answer["captured_s"] = captured_s
        self.check_age(answer)
        return answer

    def reset(self) -> None:
        """Begins a new episode: the server forgets path and state. Raises as `infer` does."""
        self._ask({"reset": True})

    def check_age(self, answer: Mapping[str, Any]) -> float:
        """Return the seconds since the observation behind an answer was taken.

        Call it again before each later pose of a chunk.

        Raises:
            StaleActionError: if that is more than `max_age_s`, or negative: a clock that stepped back says nothing.
        """
        age_s = self._clock() - float(answer["captured_s"])
        if not -CLOCK_TOLERANCE_S <= age_s <= self.max_age_s:  # NaN is stale, too
            raise StaleActionError(age_s, self.max_age_s)
        return age_s

    def close(self) -> None:
        """End the connection, and with it the episode; the next request opens another."""
        self._connection = None
        self._open.close()

    def __enter__(self) -> PolicyClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _checked(self, captured_s: float | None) -> float:
        captured = self._clock() if captured_s is None else float(captured_s)
        if not math.isfinite(captured):
            raise ValueError(f"captured_s must be a finite reading of this client's clock, got {captured}")
        self.check_age({"captured_s": captured})
        return captured

    def _ask(self, message: Message) -> Message:
        try:
            return self._exchange(message)
        except ConnectionLostError:
            if not message.get("reset"):
                raise
            return self._exchange(message)

    def _exchange(self, message: Message) -> Message:
        data, connection = pack(message), self._connected()
        with self._given_up_if_broken(), _deadline(connection, self._timeout_s):
            connection.send(data)
            frame = connection.recv()
        return _answer(frame)

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            with self._given_up_if_broken():
                self._connection = self._reach()
                with _deadline(self._connection, self._connect_timeout_s):
                    self._metadata = _answer(self._connection.recv())
        assert self._connection is not None
        return self._connection

    def _reach(self) -> ClientConnection:
        options: dict[str, Any] = {"compression": None, "max_size": MAX_ANSWER_BYTES, "close_timeout": 1, "proxy": None}
        until = time.monotonic() + self._connect_timeout_s
        while True:
            left_s = max(RETRY_S, until - time.monotonic())
            try:
                opener = connect(self._uri, additional_headers=self._headers, open_timeout=left_s, **options)
                connection: ClientConnection = self._open.enter_context(opener)
                return connection
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise ConnectionLostError(f"no policy server answers at {self._uri}") from None
                time.sleep(RETRY_S)

    @contextmanager
    def _given_up_if_broken(self) -> Iterator[None]:
        """Whatever interrupts a question leaves an answer behind that must not be taken for the next one's."""
        try:
            yield
        except InvalidStatus as refused:
            raise RequestError.from_text((refused.response.body or b"").decode(errors="replace")) from None
        except BaseException as error:
            self.close()
            if isinstance(error, ConnectionLostError | TimeoutError):
                raise
            if isinstance(error, ConnectionClosed | InvalidHandshake | OSError):
                raise ConnectionLostError(f"{self._uri}: the connection was lost, and with it the episode") from error
            raise


def _answer(data: bytes | str) -> Message:
    """Return the message in a frame; a frame of text is an error."""
    if isinstance(data, str):
        raise RequestError.from_text(data)
    message = unpack(data)
    if not isinstance(message, dict):
        raise RequestError("malformed", "the server's answer is no map")
    return message


@contextmanager
def _deadline(connection: ClientConnection, seconds: float) -> Iterator[None]:
    """TimeoutError after so many seconds, also where a full network makes `send` wait."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except ConnectionClosed:
        if late.is_set():
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        raise
    finally:
        timer.cancel()
