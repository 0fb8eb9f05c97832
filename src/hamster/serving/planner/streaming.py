"""An answer while it is being written, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hamster.planner.backend import Answer
from hamster.serving.planner.chat import Chunks, event
from hamster.serving.planner.errors import ServeError

OnText = Callable[[list[str]], None]
Stream = AbstractAsyncContextManager[tuple[str, AsyncIterator[bytes]]]  # media type and parts, once they are known


class StreamResponse(Response):
    """Open a stream, then send it; whatever happens, also a client that leaves before the first byte, it is closed.

    Args:
        stream: opened when the response is sent. What it raises then is handled as if the route had raised it.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self._stream as (media_type, parts):
            headers = {"cache-control": "no-store"}
            await StreamingResponse(parts, media_type=media_type, headers=headers)(scope, receive, send)


@asynccontextmanager
async def completion_events(
    ask: Callable[[OnText], Awaitable[list[Answer]]], chunks: Chunks, with_usage: bool, log_p: bool
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Stream the events of one completion; it is open once the first token is there, or the whole answer.

    Args:
        ask: has the question answered, and tells what has been said so far, from any thread.
        chunks: writes the events.
        with_usage, log_p: what the end says besides.

    Raises:
        ServeError: if there is no first token; what goes wrong later is an event.
    """
    latest = Latest()
    asking = asyncio.ensure_future(ask(latest.put))
    try:
        await latest.next_or(asking)
        if asking.done():
            asking.result()
        yield "text/event-stream", _events(asking, latest, chunks, with_usage, log_p)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _events(
    asking: asyncio.Future[list[Answer]], latest: Latest, chunks: Chunks, with_usage: bool, log_p: bool
) -> AsyncIterator[bytes]:
    try:
        for chunk in chunks.begin():
            yield chunk
        while not asking.done():
            for chunk in chunks.more(latest.texts):
                yield chunk
            await latest.next_or(asking)
        for chunk in chunks.end(asking.result(), with_usage, log_p):
            yield chunk
    except ServeError as error:
        yield event(error.to_json())


class Latest:
    """The newest texts; a reader that is slow misses what was overtaken, and nothing piles up."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._loop, self._new = asyncio.get_running_loop(), asyncio.Event()

    def put(self, texts: list[str]) -> None:
        """From any thread."""
        self.texts = texts
        self._loop.call_soon_threadsafe(self._new.set)

    async def next_or(self, done: asyncio.Future[list[Answer]]) -> None:
        """Returns when there are new texts, or there will be none."""
        new = asyncio.ensure_future(self._new.wait())
        both: set[asyncio.Future[Any]] = {new, done}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            new.cancel()
        self._new.clear()
