"""HTTP connections with time-outs for slow requests and for clients that do not read their response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.errors import invalid

GRACE_S = 2.0  # in which the application can send a typed error first


def http_protocol(limits: PlannerLimits) -> type[H11Protocol]:
    """Return uvicorn's protocol with the time-outs that it lacks."""

    class TimeoutProtocol(H11Protocol):
        """Cuts a connection whose request takes longer than `read_s`, or that takes nothing for `write_s`."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._reading = _Timer(limits.read_s + GRACE_S, transport.abort)
            self._writing = _Timer(limits.write_s, transport.abort)
            self._expect_request()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect_request()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect_request()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._writing.start()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._writing.stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._reading.stop()
            self._writing.stop()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Answer malformed HTTP with a typed error, unless a response has begun."""
            if self.cycle is not None and not self.cycle.response_complete:  # its body turned out to be none
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self._send_error(invalid("this is no HTTP request", code="malformed_http").to_json())
            self.transport.close()

        def _expect_request(self) -> None:
            """Time a request from the connection's start, or its first byte, until it is complete."""
            is_whole = self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)
            # Between requests, uvicorn's own keep-alive time-out counts.
            is_idle = self.conn.their_state is h11.IDLE and self.cycle is not None and not self.conn.trailing_data[0]
            if is_whole or is_idle or self.transport.is_closing():
                self._reading.stop()
            else:
                self._reading.start()

        def _send_error(self, error: dict[str, Any]) -> None:
            body = json.dumps(error).encode()
            headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
            response = h11.Response(status_code=400, headers=[*headers.items()])
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")

    return TimeoutProtocol


class _Timer:
    """Calls a function `delay_s` after the first start, unless it is stopped."""

    def __init__(self, delay_s: float, act: Callable[[], object]) -> None:
        self._delay_s, self._act = delay_s, act
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._delay_s, self._act)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
