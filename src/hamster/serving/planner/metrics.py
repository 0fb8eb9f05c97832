"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from hamster.planner.backend import Backend, Completion, GenerationRequest, SamplingParams, TokenCallback
from hamster.serving.planner.batcher import Job

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """One server's counters, in a registry of their own, so that two servers in one process stay apart."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("hamster_requests", "Requests", ("route", "status"), registry=registry)
        self.errors = Counter("hamster_errors", "Refused and failed requests", ("code",), registry=registry)
        self.cancelled = Counter("hamster_cancelled", "Requests whose client left unanswered", registry=registry)
        self.n_in_flight = Gauge("hamster_queue_length", "Requests that wait or are in work", registry=registry)
        self.batch = Histogram("hamster_batch_size", "Questions answered together", buckets=SIZES, registry=registry)
        self.tokens = Counter("hamster_tokens", "Tokens read and written", ("kind",), registry=registry)
        self.latency = self._seconds("latency", "From a request's arrival to its answer", ("route",))
        self.queued = self._seconds("queue", "From a request's arrival to its inference")
        self.first_token = self._seconds("time_to_first_token", "From a request's arrival to its first token")

    def answered(self, job: Job, arrived: float, now: float) -> None:
        """Record a finished job; times are of `time.perf_counter`."""
        self.batch.observe(job.batch_size)
        self.queued.observe(job.started - arrived)
        self.first_token.observe((job.first_token or now) - arrived)

    def count_tokens(self, prompt: int, completion: int) -> None:
        """Count the tokens of prompts and completions."""
        self.tokens.labels("prompt").inc(prompt)
        self.tokens.labels("completion").inc(completion)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _seconds(self, name: str, what: str, labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"hamster_{name}_seconds", what, labels, buckets=SECONDS, registry=self.registry)


class MeteredBackend:
    """A backend whose tokens are counted, whichever route uses it."""

    def __init__(self, backend: Backend, metrics: Metrics) -> None:
        self._backend, self._metrics = backend, metrics

    @property
    def name(self) -> str:
        """See `Backend`."""
        return self._backend.name

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None = None
    ) -> list[list[Completion]]:
        """See `Backend`."""
        generated = self._backend.generate(requests, sampling, on_token)
        prompt_tokens = sum(completions[0].prompt_tokens for completions in generated)
        self._metrics.count_tokens(prompt_tokens, sum(answer.tokens for answers in generated for answer in answers))
        return generated
