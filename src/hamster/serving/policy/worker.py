"""One thread that infers, beside the event loop; a job that overruns its budget is abandoned with its thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hamster.serving.log import log

T = TypeVar("T")
MAX_ABANDONED = 4  # threads that still compute what nobody waits for


class OverloadedError(RuntimeError):
    """Too many jobs overran their budget and still run."""


@dataclass(eq=False)
class _Job(Generic[T]):
    function: Callable[[], T]
    started: Future[None] = field(default_factory=Future)
    result: Future[T] = field(default_factory=Future)


class Worker:
    """Call functions one after the other.

    A thread cannot be stopped from outside. So the thread of a job that overruns its budget, or that nobody waits for
    any more, is left to itself, and a new one goes on with the other jobs. All threads are daemons: a job that hangs
    does not keep the process alive.

    Args:
        budget_s: of one job, from its start; waiting for its turn does not count.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._jobs: queue.SimpleQueue[_Job[Any]] = queue.SimpleQueue()
        self._abandoned: set[threading.Thread] = set()
        self._thread = self._start()

    async def call(self, function: Callable[[], T]) -> T:
        """Return or raise what the function does. Cancelled before its turn, the function is never called.

        Raises:
            TimeoutError: if the function overruns its budget.
            OverloadedError: if too many earlier ones did and still compute.
        """
        self._abandoned = {thread for thread in self._abandoned if thread.is_alive()}
        if len(self._abandoned) >= MAX_ABANDONED:
            raise OverloadedError(f"{len(self._abandoned)} inferences overran {self._budget_s:g} s and still compute")
        job = _Job(function)
        self._jobs.put(job)
        try:
            await asyncio.wrap_future(job.started)
            async with asyncio.timeout(self._budget_s):
                return await asyncio.wrap_future(job.result)
        except (TimeoutError, asyncio.CancelledError):
            # A future that could not be cancelled has begun, perhaps in this very moment.
            if not job.started.cancelled() and not job.result.done():
                self._replace_thread()
            raise

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="policy", daemon=True)
        thread.start()
        return thread

    def _replace_thread(self) -> None:
        log.warning("an inference overran its time; another thread goes on with the other clients")
        self._abandoned.add(self._thread)
        self._thread = self._start()

    def _run(self) -> None:
        while threading.current_thread() not in self._abandoned:
            job = self._jobs.get()
            if not job.started.set_running_or_notify_cancel():
                continue
            job.result.set_running_or_notify_cancel()
            job.started.set_result(None)
            try:
                job.result.set_result(job.function())
            except BaseException as error:  # it belongs to whoever asked
                job.result.set_exception(error)
            del job  # or the last message would stay in memory until the next comes
