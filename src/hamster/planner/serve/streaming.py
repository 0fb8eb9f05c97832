"""An answer while it is being written, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from hamster.planner.backend import Answer
from hamster.planner.serve.chat import Chunks, event
from hamster.planner.serve.errors import ServeError

OnText = Callable[[list[str]], None]


async def stream(
    ask: Callable[[OnText], Awaitable[list[Answer]]], chunks: Chunks, with_usage: bool, log_p: bool
) -> AsyncIterator[bytes]:
    """The events of one completion, begun: the first token is there, or the whole answer.

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
    except BaseException:
        asking.cancel()
        raise
    return _events(asking, latest, chunks, with_usage, log_p)


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
    finally:
        asking.cancel()


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
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        new.cancel()
        self._new.clear()
