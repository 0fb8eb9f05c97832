"""From a request to its answer: a place in the queue, the image decoded, a batch, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hamster.path import NotInViewError, PlanError
from hamster.planner.serve.batcher import Batcher, Job, Work
from hamster.planner.serve.errors import ServeError, invalid
from hamster.planner.serve.images import Picture
from hamster.planner.serve.limits import Limits
from hamster.planner.serve.metrics import Metrics

DECODERS = 2


class Engine:
    """The bounded queue in front of a planner.

    Few images are decoded at a time, only for the next batches: what waits longer waits encoded.

    Args:
        limits: of the queue, the batches and the time.
        metrics: where it is noted.
        threads: questions that are asked at a time; 1 for a model in this process.
    """

    def __init__(self, limits: Limits, metrics: Metrics, threads: int = 1) -> None:
        self.limits, self.metrics = limits, metrics
        self.state = "warming_up"
        self.admitted = 0
        largest = limits.batch if threads == 1 else 1
        self._batcher = Batcher(largest, limits.gather_s, lambda: self.admitted, threads)
        self._room = asyncio.Semaphore(3 * largest * threads)
        self._decoders = ThreadPoolExecutor(DECODERS, "decode")
        self._s_each = 0.1  # moving average of the time between answers while there is work
        self._last = 0.0

    def check_ready(self) -> None:
        """ServeError (503) unless questions are welcome."""
        if self.state != "ready":
            message = {"warming_up": "the model is warming up", "draining": "the server is about to stop"}[self.state]
            raise ServeError(503, self.state, f"{message}; try again later", retry_after_s=self.retry_after_s)

    def check_room(self) -> None:
        """ServeError (429) if the queue is full."""
        if self.admitted >= self.limits.queue:
            message = f"{self.admitted} requests are waiting already; come again in {self.retry_after_s} s"
            raise ServeError(429, "queue_full", message, retry_after_s=self.retry_after_s)

    @property
    def retry_after_s(self) -> int:
        """Until half of those who wait now will have been answered, as things go."""
        return min(max(round(self.admitted * self._s_each / 2), 1), 60)

    async def ask(
        self,
        work: Work,
        item: Callable[[Any], Any],
        picture: Picture | None,
        arrived: float,
        on_text: Callable[[list[str]], None] | None = None,
    ) -> tuple[Any, Job]:
        """The answer to one question, and how its job went.

        Args:
            work: what answers it.
            item: from the decoded image, (H, W, 3) uint8 or None, to what `work` is given.
            picture: its image, if it has one.
            arrived: when the request came, by `time.perf_counter`.
            on_text: see `Job`; called in another thread.

        Raises:
            ServeError: 429, 503, 504, and what the planner says to this question.
        """
        self.check_ready()
        with self.place():
            try:
                async with asyncio.timeout(arrived + self.limits.deadline_s - time.perf_counter()), self._room:
                    rgb = None if picture is None else await self._in_thread(picture.rgb)
                    job = Job(work, item(rgb), on_text)
                    answer = await self._batcher.do(job)
            except TimeoutError:
                raise ServeError(504, "deadline", f"no answer within {self.limits.deadline_s:g} s") from None
            except PlanError as error:
                raise unplannable(error) from None
            except ValueError as error:
                raise invalid(str(error)) from None
            self._note(job, arrived)
            return answer, job

    async def warm_up(self, job: Job) -> None:
        """Does a job before anybody is let in; a path need not come of it."""
        with contextlib.suppress(PlanError):
            await self._batcher.do(job)

    async def prepare(self, function: Callable[[], Any]) -> Any:
        """What a function that takes a while returns, worked out beside the event loop."""
        return await self._in_thread(function)

    async def drain(self) -> None:
        """Takes no more, and returns once what was taken is answered, or `drain_s` later."""
        self.state = "draining"
        until = time.perf_counter() + self.limits.drain_s
        while self.admitted and time.perf_counter() < until:
            await asyncio.sleep(0.02)

    def close(self, within_s: float = 5.0) -> bool:
        """Stops inferring; whether it did in time."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        return self._batcher.close(within_s)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, for one request; ServeError (429) if it is full."""
        self.check_room()
        self.admitted += 1
        self.metrics.admitted.set(self.admitted)
        try:
            yield
        finally:
            self.admitted -= 1
            self.metrics.admitted.set(self.admitted)

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function)

    def _note(self, job: Job, arrived: float) -> None:
        now = time.perf_counter()
        self.metrics.answered(job, arrived, now)
        since = now - max(self._last, arrived)
        self._s_each += 0.05 * (since - self._s_each)
        self._last = now


def unplannable(error: PlanError) -> ServeError:
    """What is said where no path could be had: not in view, or an answer that cannot be read."""
    code = (
        "not_in_view" if isinstance(error, NotInViewError) else "unreadable_answer" if error.raw_text else "unplannable"
    )
    return ServeError(422, code, error.reason, more={"raw_text": error.raw_text[:2000]})
