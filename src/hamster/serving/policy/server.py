"""The policy's websocket server: connections, time-outs and limits; what observations hold is `session`'s matter.

The protocol is openpi's (`openpi_client.websocket_client_policy`): the server speaks first and sends its metadata, then
each observation is answered by actions; text instead of bytes is an error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from hamster_client.errors import RequestError
from hamster_client.wire import pack
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from hamster.policy.base import Policy
from hamster.serving.auth import is_authorized, is_local_name
from hamster.serving.errors import BROWSER_ORIGIN, INTERNAL, UNKNOWN_HOST, Refusal, unauthorized
from hamster.serving.limits import PolicyLimits
from hamster.serving.log import log
from hamster.serving.policy.connection import Connection
from hamster.serving.policy.session import Session
from hamster.serving.policy.worker import OverloadedError, Worker

# Malformed handshakes are not worth a traceback each.
_transport_log = logging.getLogger("hamster.serve.transport")
_transport_log.setLevel(logging.CRITICAL)


class PolicyServer:
    """Serves policies to robots, one episode per connection, one inference at a time.

    Args:
        new_policy: called once per connection; the policies may share their weights, not their episode.
        metadata: sent first, see `server_metadata`.
        host, port: 0 lets the system choose a port.
        api_key: if any, what clients must send as `Authorization: Api-Key …`.
        limits: on what clients can ask for.
    """

    def __init__(
        self,
        new_policy: Callable[[], Policy],
        metadata: Mapping[str, Any],
        host: str = "127.0.0.1",
        port: int = 8000,
        api_key: str | None = None,
        limits: PolicyLimits | None = None,
    ) -> None:
        self._new_policy, self._metadata = new_policy, pack(dict(metadata))
        self._host, self._port, self._api_key, self._limits = host, port, api_key, limits or PolicyLimits()
        self._worker = Worker(self._limits.inference_s)
        self._clients: set[ServerConnection] = set()
        self._at_work: set[ServerConnection] = set()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let observations in work be answered, then end `run`; to be called in the event loop."""
        self._stop.set()

    async def run(self, ready: Callable[[int], None]) -> None:
        """Serve until `stop`; call `ready` with the port once it listens. OSError if the port is taken."""
        server = await serve(
            self._handle,
            self._host,
            self._port,
            compression=None,
            process_request=self._http,
            max_size=self._limits.body_bytes,
            max_queue=1,
            close_timeout=2,
            logger=_transport_log,
            create_connection=Connection,
        )
        ready(next(iter(server.sockets)).getsockname()[1])
        try:
            await self._stop.wait()
            server.close(close_connections=False)
            idle = [c.close(CloseCode.GOING_AWAY) for c in self._clients - self._at_work]
            async with asyncio.timeout(self._limits.drain_s):
                await asyncio.gather(*idle, server.wait_closed())
        except TimeoutError:
            log.warning("stopped with %d observations unanswered", len(self._at_work))
        finally:
            server.close()

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer or refuse plain HTTP, before a connection becomes a websocket."""
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        status, refusal = self._refusal_of(request)
        if refusal is not None:
            return connection.respond(status, RequestError(*refusal).to_text())
        if len(self._clients) >= self._limits.connections:
            error = RequestError("busy", f"{self._limits.connections} clients are connected already; try again later")
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, error.to_text())
        return None

    def _refusal_of(self, request: Request) -> tuple[HTTPStatus, Refusal | None]:
        headers = request.headers
        if headers.get_all("Origin"):  # robots send none, web pages do
            return HTTPStatus.FORBIDDEN, BROWSER_ORIGIN
        if self._api_key is None:
            if not all(is_local_name(host) for host in headers.get_all("Host")):
                return HTTPStatus.FORBIDDEN, UNKNOWN_HOST
        elif not is_authorized(headers.get_all("Authorization"), "Api-Key", self._api_key):
            return HTTPStatus.UNAUTHORIZED, unauthorized("Api-Key")
        return HTTPStatus.OK, None

    async def _handle(self, connection: ServerConnection) -> None:
        self._clients.add(connection)
        try:
            async with asyncio.timeout(self._limits.write_s):
                await connection.send(self._metadata)
            await self._converse(connection)
        except ConnectionClosed:
            pass
        except TimeoutError:
            connection.transport.abort()  # it does not take what we send
        finally:
            self._clients.discard(connection)
            self._at_work.discard(connection)

    async def _converse(self, connection: ServerConnection) -> None:
        session = Session(self._new_policy())
        previous_ms: float | None = None
        while not self._stop.is_set():
            self._at_work.discard(connection)
            message = await self._receive(connection)
            if message is None:
                return
            self._at_work.add(connection)
            started = time.perf_counter()
            reply, stays = await self._reply(session, message, started, previous_ms)
            async with asyncio.timeout(self._limits.write_s):
                await connection.send(reply)
            previous_ms = (time.perf_counter() - started) * 1e3
            log.debug("%d bytes in, %d out, %.1f ms", len(message), len(reply), previous_ms)
            if not stays:
                await connection.close(CloseCode.INTERNAL_ERROR)
                return
        await connection.close(CloseCode.GOING_AWAY)

    async def _receive(self, connection: ServerConnection) -> bytes | str | None:
        try:
            async with asyncio.timeout(self._limits.idle_s):
                return await connection.recv()
        except TimeoutError:
            error = RequestError("idle", f"no observation for {self._limits.idle_s:g} s; connect again")
            async with asyncio.timeout(self._limits.write_s):
                await connection.send(error.to_text())
            return None

    async def _reply(
        self, session: Session, message: bytes | str, arrived: float, previous_ms: float | None
    ) -> tuple[bytes | str, bool]:
        """Return the reply to a message, and whether the episode can go on after it."""
        try:
            if isinstance(message, str):
                raise RequestError("malformed", "an observation is a binary message, not text")
            job = partial(_answer, session, message, arrived, previous_ms)
            async with asyncio.timeout(self._limits.deadline_s):
                return await self._worker.call(job), True
        except RequestError as error:
            return error.to_text(), True
        except TimeoutError:
            limits = self._limits
            within = f"{limits.inference_s:g} s of computing or {limits.deadline_s:g} s in all"
            fatal = RequestError("deadline", f"no actions within {within}; connect again")
        except OverloadedError as overloaded:
            fatal = RequestError("busy", f"{overloaded}; try again later")
        except Exception:
            log.exception("the policy failed")
            fatal = RequestError(INTERNAL.code, f"{INTERNAL.message}. Connect again")
        return fatal.to_text(), False


def _answer(session: Session, message: bytes, arrived: float, previous_ms: float | None) -> bytes:
    started = time.perf_counter()
    answer = session.answer(message)
    timing = {"infer_ms": (time.perf_counter() - started) * 1e3, "queue_ms": (started - arrived) * 1e3}
    if previous_ms is not None:
        timing["prev_total_ms"] = previous_ms
    return pack(answer | {"server_timing": timing})
