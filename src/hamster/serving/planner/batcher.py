"""Questions that come one by one are answered together: few threads that infer, each on a batch at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hamster.planner.error import PlannerUnavailableError
from hamster.planner.token_callback import watched_by

log = logging.getLogger("hamster.serve")

PATIENCE = 32  # batches, after which a job is next however it ranks

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers items, in order; an exception may stand for an answer. Works that are equal (`==`) share batches."""


@dataclass(eq=False)
class Job:
    """One item on its way.

    Attributes:
        on_text: called in the inferring thread with what each of this item's answers says so far, or None.
        rank: asked whenever a batch is made up; what ranks lowest is answered first, of equals what came first.
        passed_over: how many batches were made up without it.
        done: the result; a concurrent future, as two threads know it.
        first_token: `time.perf_counter()` of it, 0 before.
        ended: `time.perf_counter()` when its result was there, 0 before.
        batch: how many were answered together.
        given_up: nobody waits for it any more.
    """

    work: Work
    item: Any
    on_text: Callable[[list[str]], None] | None = None
    rank: Callable[[], tuple[float, ...]] = tuple
    done: Future[Any] = field(default_factory=Future)
    asked: float = field(default_factory=time.perf_counter)
    begun: float = 0.0
    first_token: float = 0.0
    ended: float = 0.0
    batch: int = 0
    given_up: bool = False
    passed_over: int = 0

    @property
    def cost_s(self) -> float:
        """Its share of the time that its batch has taken so far."""
        return ((self.ended or time.perf_counter()) - self.begun) / self.batch if self.begun else 0.0


class Batcher:
    """Takes jobs from the event loop, has them done in threads.

    Args:
        largest: jobs to a batch.
        gather_s: how long an idle thread waits for a batch to fill up.
        expected: how many jobs are about to come, those in the queue included; once these are here, nobody waits.
        threads: 1 for a model in this process; as many as there shall be questions at a time for one elsewhere.
    """

    def __init__(self, largest: int, gather_s: float, expected: Callable[[], int], threads: int = 1) -> None:
        self._largest, self._gather_s, self._expected = largest, gather_s, expected
        self._queue: deque[Job] = deque()
        self._in_work: set[Job] = set()
        self._began: dict[int, float] = {}  # by thread: when the inference that it is in began
        self._changed = threading.Condition()
        self._is_closed = False
        # Daemons: an inference that hangs does not keep the process alive.
        self._threads = [threading.Thread(target=self._run, name=f"inference-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    def hung_s(self, allowed_s: float) -> float:
        """Return how long the inferences have taken that keep every thread from other work; 0 if one is free.

        A thread cannot be stopped from outside, and a model that hangs reaches no next token at which to stop.

        Args:
            allowed_s: what one inference may take; a thread whose inference takes longer is not free.
        """
        now = time.perf_counter()
        ages_s = [now - began for began in list(self._began.values())]
        overdue_s = [age_s for age_s in ages_s if age_s > allowed_s]
        return min(overdue_s) if len(overdue_s) == len(self._threads) else 0.0

    async def do(self, job: Job) -> Any:
        """What the job's work returns or raises for it. Cancelled, it is dropped, or stops at the next token."""
        with self._changed:
            self._queue.append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.done)
        finally:
            job.given_up = True

    def close(self, within_s: float) -> bool:
        """Gives up what is in work, and ends the threads; whether they ended in time."""
        with self._changed:
            self._is_closed = True
            for job in self._in_work:
                job.given_up = True
            self._changed.notify_all()
        until = time.perf_counter() + within_s
        for thread in self._threads:
            thread.join(max(until - time.perf_counter(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while not self._is_closed:
            batch = [job for job in self._take() if job.done.set_running_or_notify_cancel()]
            self._in_work.update(batch)
            if batch:
                self._do_together(batch)
            self._in_work.difference_update(batch)
            del batch  # or its images would stay in memory until the next comes

    def _take(self) -> list[Job]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            self._changed.wait_for(self._is_full, self._gather_s)
            ranked = sorted(self._queue, key=lambda job: () if job.passed_over >= PATIENCE else job.rank())
            batch = [job for job in ranked if job.work == ranked[0].work][: self._largest]
            taken = set(map(id, batch))
            self._queue = deque(job for job in self._queue if id(job) not in taken)
            for job in self._queue:
                job.passed_over += 1
            return batch

    def _is_full(self) -> bool:
        return len(self._queue) >= min(self._largest, self._expected())

    def _do_together(self, batch: list[Job]) -> None:
        """Sets every job's result; one whose work fails does not take others with it."""
        now = time.perf_counter()
        for job in batch:
            job.begun, job.batch = now, job.batch or len(batch)
        self._began[threading.get_ident()] = now
        try:
            with watched_by(lambda said, owners: _look(batch, said, owners)):
                results = list(zip(batch, batch[0].work([job.item for job in batch]), strict=True))
        except BaseException as error:  # it belongs to whoever asked
            if len(batch) > 1:
                log.info("a batch of %d failed, now one by one: %s", len(batch), error)
                for job in batch:
                    self._do_together([job])
                return
            if not isinstance(error, ValueError | PlannerUnavailableError):
                log.exception("inference failed")
            results = [(batch[0], error.with_traceback(None))]  # whose frames hold images
        finally:
            self._began.pop(threading.get_ident(), None)
        for job, result in results:
            job.ended = time.perf_counter()
            job.done.set_exception(result) if isinstance(result, BaseException) else job.done.set_result(result)


def _look(batch: list[Job], said: Callable[[int], str], owners: Sequence[int]) -> list[bool]:
    """Notes the first token, passes on what was said, and says whose answers are no longer wanted."""
    now = time.perf_counter()
    for owner in set(owners):
        job = batch[owner]
        job.first_token = job.first_token or now
        if job.on_text is not None and not job.given_up:
            job.on_text([said(row) for row, of in enumerate(owners) if of == owner])
    return [batch[owner].given_up for owner in owners]
