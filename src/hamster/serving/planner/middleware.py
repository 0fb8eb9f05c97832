"""What every request passes before the application sees it: key, size, patience; and who leaves is noticed."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from hamster.serving.planner.errors import ServeError
from hamster.serving.planner.limits import Limits
from hamster.serving.planner.metrics import Metrics
from hamster.serving.planner.service import Service

log = logging.getLogger("hamster.serve")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Gate:
    """Wraps an ASGI application, which then gets whole bodies of bounded size from clients who may ask.

    Args:
        app: inside.
        service: what `app` serves, for whoever runs it.
        api_key: what clients must send as `Authorization: Bearer …`, except to `open_routes`; None: all may.
        open_routes: that need no key.
        routes: that are counted by name.
    """

    def __init__(
        self,
        app: App,
        service: Service,
        limits: Limits,
        metrics: Metrics,
        api_key: str | None,
        open_routes: frozenset[str],
        routes: frozenset[str],
    ) -> None:
        self.service = service
        self._app, self._limits, self._metrics, self._api_key = app, limits, metrics, api_key
        self._open_routes, self._routes = open_routes, routes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        scope["arrived"] = time.perf_counter()
        try:
            check_caller(scope, self._api_key, scope["path"] in self._open_routes)
            body = await read_body(scope, receive, self._limits)
            if not await serve_while_wanted(self._app, scope, body, receive, answer.send):
                self._metrics.cancelled.inc()
                answer.status = 499
        except ClientLeftError:
            answer.status = 499
        except ServeError as error:
            self._metrics.errors.labels(error.code).inc()
            await error_response(error, close=True)(scope, receive, answer.send)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            self._metrics.errors.labels("internal").inc()
            if not answer.status:
                await error_response(internal())(scope, receive, answer.send)
        finally:
            self._note(scope, answer.status)

    def _note(self, scope: Message, status: int) -> None:
        route = scope["path"] if scope["path"] in self._routes else "other"
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.latency.labels(route).observe(time.perf_counter() - scope["arrived"])


class ClientLeftError(Exception):
    """Before its request was whole."""


class _Answer:
    """Remembers the status that was sent."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def error_response(error: ServeError, close: bool = False) -> JSONResponse:
    """An error as it goes over the wire; `close`: nothing else is read from this connection."""
    headers = error.headers | ({"connection": "close"} if close and error.status == 408 else {})
    return JSONResponse(error.to_json(), error.status, headers)


def internal() -> ServeError:
    """What is said when it is our fault."""
    return ServeError(500, "internal", "the server failed; its log says why")


def check_caller(scope: Message, api_key: str | None, is_open: bool) -> None:
    """Raise ServeError unless the request comes from a program that may ask.

    Web pages may not: those of other sites send an Origin, and those whose name was rebound to this machine's address
    (DNS rebinding) send that name as Host. With a key, which no page knows, the server may have any name.

    Args:
        scope: of the request.
        api_key: what must be sent once, as `Authorization: Bearer …`; compared in constant time.
        is_open: whether this route needs no key.
    """
    headers = [(name.lower(), value) for name, value in scope["headers"]]
    if any(name == b"origin" for name, _ in headers):
        raise ServeError(403, "web_page", "requests of web pages are not served")
    if api_key is None:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if not all(is_local_name(host) for host in hosts):
            raise ServeError(403, "unknown_host", "ask by an IP address or as localhost; other names need a key")
    elif not is_open:
        credentials = [value for name, value in headers if name == b"authorization"]
        scheme, _, key = credentials[0].partition(b" ") if len(credentials) == 1 else (b"", b"", b"")
        same_key = hmac.compare_digest(key.strip(), api_key.encode())
        if not (same_key and scheme.lower() == b"bearer"):  # scheme names have no case (RFC 9110)
            raise ServeError(401, "unauthorized", "send the server's key once, as Authorization: Bearer …")


def is_local_name(host: str) -> bool:
    """Return whether a Host header is an IP address or localhost, with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ip_address(name))
    except ValueError:
        return False


async def read_body(scope: Message, receive: Receive, limits: Limits) -> bytes:
    """The whole body; what is too long is not kept, what is too slow is not waited for.

    Raises:
        ServeError: 413 or 408.
        ClientLeftError: if the client does not stay that long.
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


async def serve_while_wanted(app: App, scope: Message, body: bytes, receive: Receive, send: Send) -> bool:
    """Runs the application until it is done, or its client has left: then it is cancelled, and the result is False."""
    forever = asyncio.Event()
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            await forever.wait()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    work = asyncio.ensure_future(app(scope, replay, send))
    gone = asyncio.ensure_future(receive())  # the body was all: what else comes is that the client left
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return False
        work.result()
        return True
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
