"""Dynamic batching: jobs that arrive one by one are done together, by few threads that infer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hamster.planner.backend import TokenCallback
from hamster.planner.error import PlannerUnavailableError
from hamster.serving.log import log

MAX_PASSED_OVER = 32  # batches, after which a job is next whatever its rank

BatchFn = Callable[[Sequence[Any], TokenCallback], Sequence[Any]]
"""Processes items, in order; an exception may stand for a result. Functions that are equal (`==`) share batches."""


@dataclass(eq=False)
class Job:
    """One item in the batcher.

    Attributes:
        batch_fn: processes the item.
        item: what it is given.
        on_text: called in the inferring thread with the text so far of each of the item's completions, or None.
        rank: evaluated whenever a batch is made up; the lowest rank is next, of equal ranks the oldest job.
        done: the result; a concurrent future, as two threads share it.
        created, started, first_token, ended: `time.perf_counter()`; 0 before.
        batch_size: how many jobs were done together.
        cancelled: nobody waits for it any more.
        passed_over: how many batches were made up without it.
    """

    batch_fn: BatchFn
    item: Any
    on_text: Callable[[list[str]], None] | None = None
    rank: Callable[[], tuple[float, ...]] = tuple
    done: Future[Any] = field(default_factory=Future)
    created: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    first_token: float = 0.0
    ended: float = 0.0
    batch_size: int = 0
    cancelled: bool = False
    passed_over: int = 0

    @property
    def cost_s(self) -> float:
        """Its share of the time that its batch has taken so far."""
        return ((self.ended or time.perf_counter()) - self.started) / self.batch_size if self.started else 0.0


class Batcher:
    """Takes jobs from the event loop, and does them in threads.

    Args:
        max_batch: jobs to a batch.
        gather_s: how long an idle thread waits for a batch to fill up.
        n_expected: how many jobs are about to come, those in the queue included; once these are here, none waits.
        threads: 1 for a model in this process; for a remote one as many as there shall be requests at a time.
    """

    def __init__(self, max_batch: int, gather_s: float, n_expected: Callable[[], int], threads: int = 1) -> None:
        self._max_batch, self._gather_s, self._n_expected = max_batch, gather_s, n_expected
        self._queue: deque[Job] = deque()
        self._in_work: set[Job] = set()
        self._inference_start: dict[int, float] = {}  # by thread
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
        ages_s = [now - start for start in list(self._inference_start.values())]
        overdue_s = [age_s for age_s in ages_s if age_s > allowed_s]
        return min(overdue_s) if len(overdue_s) == len(self._threads) else 0.0

    async def do(self, job: Job) -> Any:
        """Return or raise the job's result. Cancelling this call drops the job, or stops it at the next token."""
        with self._changed:
            self._queue.append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.done)
        finally:
            job.cancelled = True

    def close(self, within_s: float) -> bool:
        """Cancel all jobs in work and end the threads; return whether they ended in time."""
        with self._changed:
            self._is_closed = True
            for job in self._in_work:
                job.cancelled = True
            self._changed.notify_all()
        deadline = time.perf_counter() + within_s
        for thread in self._threads:
            thread.join(max(deadline - time.perf_counter(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while not self._is_closed:
            batch = [job for job in self._take() if job.done.set_running_or_notify_cancel()]
            self._in_work.update(batch)
            if batch:
                self._process(batch)
            self._in_work.difference_update(batch)
            del batch  # or its images would stay in memory until the next comes

    def _take(self) -> list[Job]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            self._changed.wait_for(self._is_full, self._gather_s)
            by_rank = sorted(self._queue, key=lambda job: () if job.passed_over >= MAX_PASSED_OVER else job.rank())
            batch = [job for job in by_rank if job.batch_fn == by_rank[0].batch_fn][: self._max_batch]
            taken = set(map(id, batch))
            self._queue = deque(job for job in self._queue if id(job) not in taken)
            for job in self._queue:
                job.passed_over += 1
            return batch

    def _is_full(self) -> bool:
        return len(self._queue) >= min(self._max_batch, self._n_expected())

    def _process(self, batch: list[Job]) -> None:
        """Set every job's result; a job that fails does not fail the others of its batch."""
        now = time.perf_counter()
        for job in batch:
            job.started, job.batch_size = now, job.batch_size or len(batch)
        self._inference_start[threading.get_ident()] = now
        try:
            outputs = batch[0].batch_fn([job.item for job in batch], _TokenProgress(batch))
            results = list(zip(batch, outputs, strict=True))
        except BaseException as error:  # raised again where the job is awaited
            if len(batch) > 1:
                log.info("a batch of %d failed, now one by one: %s", len(batch), error)
                for job in batch:
                    self._process([job])
                return
            if not isinstance(error, ValueError | PlannerUnavailableError):
                log.exception("inference failed")
            results = [(batch[0], error.with_traceback(None))]  # whose frames hold images
        finally:
            self._inference_start.pop(threading.get_ident(), None)
        for job, result in results:
            job.ended = time.perf_counter()
            job.done.set_exception(result) if isinstance(result, BaseException) else job.done.set_result(result)


@dataclass(frozen=True)
class _TokenProgress:
    """The `TokenCallback` of a batch: notes first tokens, passes on texts, stops the rows of cancelled jobs."""

    batch: list[Job]

    def __call__(self, text_of: Callable[[int], str], request_of_row: Sequence[int]) -> list[bool]:
        now = time.perf_counter()
        for request in set(request_of_row):
            job = self.batch[request]
            job.first_token = job.first_token or now
            if job.on_text is not None and not job.cancelled:
                job.on_text([text_of(row) for row, owner in enumerate(request_of_row) if owner == request])
        return [self.batch[request].cancelled for request in request_of_row]
