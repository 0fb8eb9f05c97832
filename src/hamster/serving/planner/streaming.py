"""Streamed responses: a completion while it is generated, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hamster.planner.backend import Completion
from hamster.serving.planner.chat import CompletionChunks, event
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
    generate: Callable[[OnText], Awaitable[list[Completion]]],
    chunks: CompletionChunks,
    with_usage: bool,
    with_logprobs: bool,
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Stream the events of one completion; the stream opens with the first token, or the whole completion.

    Args:
        generate: returns the completions, and calls its argument with the texts so far, from any thread.
        chunks: formats the events.
        with_usage, with_logprobs: whether the end states them.

    Raises:
        ServeError: if there is no first token; a later error is an event.
    """
    buffer = StreamBuffer()
    generation = asyncio.ensure_future(generate(buffer.put))
    try:
        await buffer.next_or(generation)
        if generation.done():
            generation.result()
        yield "text/event-stream", _events(generation, buffer, chunks, with_usage, with_logprobs)
    finally:
        generation.cancel()
        await asyncio.gather(generation, return_exceptions=True)


async def _events(
    generation: asyncio.Future[list[Completion]],
    buffer: StreamBuffer,
    chunks: CompletionChunks,
    with_usage: bool,
    with_logprobs: bool,
) -> AsyncIterator[bytes]:
    try:
        for chunk in chunks.begin():
            yield chunk
        while not generation.done():
            for chunk in chunks.more(buffer.texts):
                yield chunk
            await buffer.next_or(generation)
        for chunk in chunks.end(generation.result(), with_usage, with_logprobs):
            yield chunk
    except ServeError as error:
        yield event(error.to_json())


class StreamBuffer:
    """Holds the newest texts only: a slow reader skips older ones, and nothing piles up."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._loop, self._new = asyncio.get_running_loop(), asyncio.Event()

    def put(self, texts: list[str]) -> None:
        """Replace the texts; may be called from any thread."""
        self.texts = texts
        self._loop.call_soon_threadsafe(self._new.set)

    async def next_or(self, done: asyncio.Future[list[Completion]]) -> None:
        """Return when there are new texts, or there will be none."""
        new = asyncio.ensure_future(self._new.wait())
        both: set[asyncio.Future[Any]] = {new, done}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            new.cancel()
        self._new.clear()
