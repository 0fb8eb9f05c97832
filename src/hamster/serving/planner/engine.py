"""From a request to its answer: a place in the queue, the image decoded, a batch, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from hamster.path import NotInViewError, PlanError
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.serving.planner.batcher import Batcher, Job, Work
from hamster.serving.planner.errors import ServeError, invalid
from hamster.serving.planner.fairness import Client, FairSlots
from hamster.serving.planner.images import Picture
from hamster.serving.planner.limits import Limits
from hamster.serving.planner.metrics import Metrics

log = logging.getLogger("hamster.serve")

DECODERS = 2
REASONS = {"warming_up": "the model is warming up", "draining": "the server is about to stop"}
T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        client: address and port.
        arrived: when the request came, by `time.perf_counter`.
    """

    client: Client
    arrived: float

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Caller:
        """Read an ASGI scope that has passed the gate."""
        host, port = scope.get("client") or ("", 0)
        return cls((host, port), scope["arrived"])


class Engine:
    """The bounded queue in front of a planner, in which clients take turns.

    Few images are decoded at a time, only for the next batches: what waits longer waits encoded.

    Args:
        limits: of the queue, the batches and the time.
        metrics: where it is noted.
        threads: questions that are asked at a time; 1 for a model in this process.
    """

    def __init__(self, limits: Limits, metrics: Metrics, threads: int = 1) -> None:
        self.limits, self.metrics = limits, metrics
        self.state = "warming_up"  # or "ready", "draining"; `readiness` says more
        self.admitted = 0
        self._is_stalled = False
        largest = limits.batch if threads == 1 else 1
        self._batcher = Batcher(largest, limits.gather_s, lambda: self.admitted, threads)
        self._slots = FairSlots(3 * largest * threads)  # one batch in work, two on their way
        self._places: Counter[str] = Counter()  # by address
        self._decoders = ThreadPoolExecutor(DECODERS, "decode")
        self._s_each = 0.1  # moving average of the time between answers while there is work
        self._last = 0.0

    def check_ready(self) -> None:
        """ServeError (503) unless questions are welcome."""
        state, reason = self.readiness()
        if state != "ready":
            raise ServeError(503, state, f"{reason}; try again later", retry_after_s=self.retry_after_s)

    def readiness(self) -> tuple[str, str]:
        """Return "ready" and "", or another state and why questions are not welcome.

        A hung inference keeps its thread for ever. So the server is `stalled` while every thread is in an inference
        that has taken longer than `deadline_s`, for whose answer nobody waits any more.
        """
        if self.state != "ready":
            return self.state, REASONS[self.state]
        hung_s = self._batcher.hung_s(self.limits.deadline_s)
        if not hung_s:
            self._is_stalled = False
            return "ready", ""
        reason = f"an inference has taken {hung_s:.0f} s, longer than the deadline of {self.limits.deadline_s:g} s"
        if not self._is_stalled:
            self._is_stalled = True
            log.error("%s: no question can be answered until it returns or the server is restarted", reason)
        return "stalled", reason

    def check_room(self, client: Client) -> None:
        """Raise ServeError (429) if the queue is full, or if this client has half of it and the rest runs short."""
        if self._places[client[0]] >= self.limits.queue / 2:
            full = self.admitted >= self.limits.queue * 3 / 4 and len(self._places) > 1
        else:
            full = False
        if full or self.admitted >= self.limits.queue:
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
        caller: Caller,
        on_text: Callable[[list[str]], None] | None = None,
    ) -> tuple[Any, Job]:
        """The answer to one question, and how its job went.

        Args:
            work: what answers it.
            item: from the decoded image, (H, W, 3) uint8 or None, to what `work` is given.
            picture: its image, if it has one.
            caller: who asks, and since when.
            on_text: see `Job`; called in another thread.

        Raises:
            ServeError: 429, 502, 503, 504, and what the planner says to this question.
        """
        self.check_ready()
        with self.place(caller.client):
            try:
                left_s = caller.arrived + self.limits.deadline_s - time.perf_counter()
                async with asyncio.timeout(left_s), self._slots.slot(caller.client) as turn:
                    rgb = None if picture is None else await self._in_thread(picture.rgb)
                    job = Job(work, item(rgb), on_text, lambda: self._slots.rank(turn))
                    try:
                        answer = await self._batcher.do(job)
                    finally:
                        turn.cost_s = job.cost_s
            except TimeoutError:
                raise ServeError(504, "deadline", f"no answer within {self.limits.deadline_s:g} s") from None
            except PlanError as error:
                raise unplannable(error) from None
            except (PlannerUnavailableError, PlannerConfigurationError) as error:
                raise unasked(error) from None
            except ValueError as error:
                raise invalid(str(error)) from None
            self._note(job, caller.arrived)
            return answer, job

    async def warm_up(self, job: Job) -> None:
        """Does a job before anybody is let in; a path need not come of it."""
        with contextlib.suppress(PlanError, PlannerUnavailableError):
            await self._batcher.do(job)

    async def prepare(self, function: Callable[[], T]) -> T:
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
    def place(self, client: Client) -> Iterator[None]:
        """Hold a place in the queue, for one request; ServeError (429) as `check_room`."""
        self.check_room(client)
        self.admitted += 1
        self._places[client[0]] += 1
        self.metrics.admitted.set(self.admitted)
        try:
            yield
        finally:
            self.admitted -= 1
            self._places[client[0]] -= 1
            self._places += Counter()  # forgets who has none
            self.metrics.admitted.set(self.admitted)

    async def _in_thread(self, function: Callable[[], T]) -> T:
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


def unasked(error: PlannerUnavailableError | PlannerConfigurationError) -> ServeError:
    """What is said where the model's own server could not be asked; what it said is for whoever runs this one."""
    log.warning("%s", error)
    if isinstance(error, PlannerUnavailableError):
        return ServeError(502, "upstream_lost", "the model's server cannot be asked now; try again later")
    return ServeError(502, "upstream_failed", "the model's server refuses what this server asks")
