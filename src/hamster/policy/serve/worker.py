"""One thread that infers, so that the event loop goes on answering."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Calls functions one after the other. A daemon: an inference that hangs does not keep the process alive."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="policy", daemon=True).start()

    async def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises. Cancelled before its turn, it is never called."""
        future: Future[T] = Future()
        self._jobs.put((future, function))
        return await asyncio.wrap_future(future)

    def _run(self) -> None:
        while True:
            future, function = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # it belongs to whoever asked
                future.set_exception(error)
            del future, function  # or the last message would stay in memory until the next comes
