"""ASGI middleware: checks key, origin, size and time of every request, and cancels it when its client disconnects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

from hamster.serving.auth import is_authorized, is_local_name
from hamster.serving.errors import BROWSER_ORIGIN, INTERNAL, UNKNOWN_HOST, unauthorized
from hamster.serving.limits import PlannerLimits
from hamster.serving.log import log
from hamster.serving.planner.errors import ServeError
from hamster.serving.planner.metrics import Metrics
from hamster.serving.planner.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RequestMiddleware:
    """Wraps an ASGI application, which then gets whole bodies of bounded size from authorized clients.

    Args:
        app: the application inside.
        service: what `app` serves.
        limits: on bodies and times.
        metrics: to record in.
        api_key: what clients must send as `Authorization: Bearer …`, except to `open_routes`; None: no key is needed.
        open_routes: that need no key.
        routes: that are counted by name.
    """

    def __init__(
        self,
        app: App,
        service: Service,
        limits: PlannerLimits,
        metrics: Metrics,
        api_key: str | None,
        open_routes: frozenset[str],
        routes: frozenset[str],
    ) -> None:
        self.service = service
        self._app, self._limits, self._metrics, self._api_key = app, limits, metrics, api_key
        self._open_routes, self._routes = open_routes, routes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _StatusRecorder(send)
        scope["arrived"] = time.perf_counter()
        try:
            check_caller(scope, self._api_key, scope["path"] in self._open_routes)
            body = await read_body(scope, receive, self._limits)
            if not await serve_while_connected(self._app, scope, body, receive, response.send):
                self._metrics.cancelled.inc()
                response.status = 499
        except ClientLeftError:
            response.status = 499
        except ServeError as error:
            self._metrics.errors.labels(error.code).inc()
            await error_response(error, close=True)(scope, receive, response.send)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            self._metrics.errors.labels("internal").inc()
            if not response.status:
                await error_response(internal_error())(scope, receive, response.send)
        finally:
            self._record(scope, response.status)

    def _record(self, scope: Message, status: int) -> None:
        route = scope["path"] if scope["path"] in self._routes else "other"
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.latency.labels(route).observe(time.perf_counter() - scope["arrived"])


class ClientLeftError(Exception):
    """The client disconnected before its request was complete."""


class _StatusRecorder:
    """Remembers the status that was sent."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def error_response(error: ServeError, close: bool = False) -> JSONResponse:
    """Return the response to an error; `close`: nothing else is read from this connection."""
    headers = error.headers | ({"connection": "close"} if close and error.status == 408 else {})
    return JSONResponse(error.to_json(), error.status, headers)


def internal_error() -> ServeError:
    """Return the error (500) of an unexpected exception."""
    return ServeError(500, *INTERNAL)


def check_caller(scope: Message, api_key: str | None, is_open: bool) -> None:
    """Raise ServeError unless the request comes from an authorized program.

    Web pages may not: those of other sites send an Origin, and those whose name was rebound to this machine's address
    (DNS rebinding) send that name as Host. With a key, which no page knows, the server may have any name.

    Args:
        scope: of the request.
        api_key: what must be sent once, as `Authorization: Bearer …`; compared in constant time.
        is_open: whether this route needs no key.
    """
    headers = [(name.lower(), value) for name, value in scope["headers"]]
    if any(name == b"origin" for name, _ in headers):
        raise ServeError(403, *BROWSER_ORIGIN)
    if api_key is None:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if not all(is_local_name(host) for host in hosts):
            raise ServeError(403, *UNKNOWN_HOST)
    elif not is_open:
        sent = [value.decode(errors="surrogateescape") for name, value in headers if name == b"authorization"]
        if not is_authorized(sent, "Bearer", api_key):
            raise ServeError(401, *unauthorized("Bearer"))


async def read_body(scope: Message, receive: Receive, limits: PlannerLimits) -> bytes:
    """Read the whole body, within the limits on its size and time.

    Args:
        scope, receive: of ASGI.
        limits: `body_bytes` and `read_s`.

    Raises:
        ServeError: 413 or 408.
        ClientLeftError: if the client disconnects before.
    """
    too_large = ServeError(413, "body_too_large", f"a request has at most {limits.body_bytes >> 10} KiB")
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if int(declared) > limits.body_bytes:  # the parser lets digits through only
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.read_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                body += message.get("body", b"")
                if len(body) > limits.body_bytes:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise ServeError(408, "slow_request", f"the request took longer than {limits.read_s:g} s to arrive") from None


async def serve_while_connected(app: App, scope: Message, body: bytes, receive: Receive, send: Send) -> bool:
    """Run the application, and cancel it if its client disconnects.

    Args:
        app: of ASGI.
        scope, receive, send: of ASGI.
        body: the whole body, which was read from `receive`.

    Returns:
        Whether the application ended by itself.
    """
    forever = asyncio.Event()
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            await forever.wait()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    response = asyncio.ensure_future(app(scope, replay, send))
    disconnect = asyncio.ensure_future(receive())  # the body is complete: only a disconnect can follow
    try:
        await asyncio.wait({response, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not response.done():
            return False
        response.result()
        return True
    finally:
        for task in (response, disconnect):
            task.cancel()
        await asyncio.gather(response, disconnect, return_exceptions=True)
