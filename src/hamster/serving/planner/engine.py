"""The path of a request to its result: a slot in the queue, the image decoded, a batch, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from hamster.path import NotInViewError, PlanError
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.serving.limits import PlannerLimits
from hamster.serving.log import log
from hamster.serving.planner.batcher import Batcher, BatchFn, Job
from hamster.serving.planner.errors import PLANNING_FAILED, UPSTREAM_UNAVAILABLE, ServeError, invalid
from hamster.serving.planner.fairness import Client, FairSlots
from hamster.serving.planner.images import EncodedImage
from hamster.serving.planner.metrics import Metrics

DECODER_THREADS = 2
NOT_READY_REASONS = {"warming_up": "the model is warming up", "draining": "the server is about to stop"}
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
        """Read an ASGI scope that has passed `RequestMiddleware`."""
        host, port = scope.get("client") or ("", 0)
        return cls((host, port), scope["arrived"])


class Engine:
    """The bounded queue in front of a planner, in which clients take turns.

    Few images are decoded at a time, only for the next batches: what waits longer waits encoded.

    Args:
        limits: of the queue, the batches and the time.
        metrics: to record in.
        threads: batches at a time; 1 for a model in this process.
    """

    def __init__(self, limits: PlannerLimits, metrics: Metrics, threads: int = 1) -> None:
        self.limits, self.metrics = limits, metrics
        self.state = "warming_up"  # or "ready", "draining"; `readiness` says more
        self.n_in_flight = 0
        self._is_stalled = False
        max_batch = limits.batch if threads == 1 else 1
        self._batcher = Batcher(max_batch, limits.gather_s, lambda: self.n_in_flight, threads)
        self._slots = FairSlots(3 * max_batch * threads)  # one batch in work, two on their way
        self._n_by_address: Counter[str] = Counter()  # requests in flight
        self._decoders = ThreadPoolExecutor(DECODER_THREADS, "decode")
        self._interval_s = 0.1  # moving average of the time between results while there is work
        self._last_result = 0.0

    def check_ready(self) -> None:
        """Raise ServeError (503) unless requests are taken."""
        state, reason = self.readiness()
        if state != "ready":
            raise ServeError(503, state, f"{reason}; try again later", retry_after_s=self.retry_after_s)

    def readiness(self) -> tuple[str, str]:
        """Return "ready" and "", or another state and why requests are not taken.

        A hung inference keeps its thread for ever. So the server is `stalled` while every thread is in an inference
        that has taken longer than `deadline_s`, for whose answer nobody waits any more.
        """
        if self.state != "ready":
            return self.state, NOT_READY_REASONS[self.state]
        hung_s = self._batcher.hung_s(self.limits.deadline_s)
        if not hung_s:
            self._is_stalled = False
            return "ready", ""
        reason = f"an inference has taken {hung_s:.0f} s, longer than the deadline of {self.limits.deadline_s:g} s"
        if not self._is_stalled:
            self._is_stalled = True
            log.error("%s: no request can be answered until it returns or the server is restarted", reason)
        return "stalled", reason

    def check_room(self, client: Client) -> None:
        """Raise ServeError (429) if the queue is full, or if this client has half of it and the rest runs short."""
        if self._n_by_address[client[0]] >= self.limits.queue / 2:
            full = self.n_in_flight >= self.limits.queue * 3 / 4 and len(self._n_by_address) > 1
        else:
            full = False
        if full or self.n_in_flight >= self.limits.queue:
            message = f"{self.n_in_flight} requests are waiting already; come again in {self.retry_after_s} s"
            raise ServeError(429, "queue_full", message, retry_after_s=self.retry_after_s)

    @property
    def retry_after_s(self) -> int:
        """Seconds until half of the present queue will be answered, at the present rate."""
        return min(max(round(self.n_in_flight * self._interval_s / 2), 1), 60)

    async def submit(
        self,
        batch_fn: BatchFn,
        item: Callable[[Any], Any],
        image: EncodedImage | None,
        caller: Caller,
        on_text: Callable[[list[str]], None] | None = None,
    ) -> tuple[Any, Job]:
        """Process one request, and return its result and its job.

        Args:
            batch_fn: processes items.
            item: from the decoded image, (H, W, 3) uint8 or None, to the item for `batch_fn`.
            image: of the request, if it has one.
            caller: who sent it, and when.
            on_text: see `Job`; called in another thread.

        Raises:
            ServeError: 429, 502, 503, 504, and 400 and 422 for what the planner cannot process.
        """
        self.check_ready()
        with self.slot(caller.client):
            try:
                left_s = caller.arrived + self.limits.deadline_s - time.perf_counter()
                async with asyncio.timeout(left_s), self._slots.slot(caller.client) as turn:
                    rgb = None if image is None else await self.run_in_thread(image.rgb)
                    job = Job(batch_fn, item(rgb), on_text, lambda: self._slots.rank(turn))
                    try:
                        result = await self._batcher.do(job)
                    finally:
                        turn.cost_s = job.cost_s
            except TimeoutError:
                raise ServeError(504, "deadline", f"no answer within {self.limits.deadline_s:g} s") from None
            except PlanError as error:
                raise plan_error_response(error) from None
            except (PlannerUnavailableError, PlannerConfigurationError) as error:
                raise backend_error_response(error) from None
            except ValueError as error:
                raise invalid(str(error)) from None
            self._record(job, caller.arrived)
            return result, job

    async def warm_up(self, job: Job) -> None:
        """Do a job before requests are taken; whether it finds a path does not matter."""
        with contextlib.suppress(PlanError, PlannerUnavailableError):
            await self._batcher.do(job)

    async def drain(self) -> None:
        """Take no more requests, and return once all taken ones are answered, or `drain_s` later."""
        self.state = "draining"
        deadline = time.perf_counter() + self.limits.drain_s
        while self.n_in_flight and time.perf_counter() < deadline:
            await asyncio.sleep(0.02)

    def close(self, within_s: float = 5.0) -> bool:
        """Stop inference; return whether it ended in time."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        return self._batcher.close(within_s)

    @contextlib.contextmanager
    def slot(self, client: Client) -> Iterator[None]:
        """Hold a slot in the queue, for one request; ServeError (429) as `check_room`."""
        self.check_room(client)
        self.n_in_flight += 1
        self._n_by_address[client[0]] += 1
        self.metrics.n_in_flight.set(self.n_in_flight)
        try:
            yield
        finally:
            self.n_in_flight -= 1
            self._n_by_address[client[0]] -= 1
            self._n_by_address += Counter()  # drops zero counts
            self.metrics.n_in_flight.set(self.n_in_flight)

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that takes a while beside the event loop, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function)

    def _record(self, job: Job, arrived: float) -> None:
        now = time.perf_counter()
        self.metrics.answered(job, arrived, now)
        interval_s = now - max(self._last_result, arrived)
        self._interval_s += 0.05 * (interval_s - self._interval_s)
        self._last_result = now


def plan_error_response(error: PlanError) -> ServeError:
    """Return the error (422) of a request without a path: not in view, an unreadable answer, or no answer."""
    if isinstance(error, NotInViewError):
        code = "not_in_view"
    else:
        code = "unreadable_answer" if error.raw_text else PLANNING_FAILED
    return ServeError(422, code, error.reason, more={"raw_text": error.raw_text[:2000]})


def backend_error_response(error: PlannerUnavailableError | PlannerConfigurationError) -> ServeError:
    """Return the error (502) of a model's own server; its message goes to the log, not to the client."""
    log.warning("%s", error)
    if isinstance(error, PlannerUnavailableError):
        return ServeError(502, UPSTREAM_UNAVAILABLE, "the model's server cannot be asked now; try again later")
    return ServeError(502, "upstream_failed", "the model's server refuses what this server asks")
