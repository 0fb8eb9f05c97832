"""Benchmark of a planner in this process: tokens, latency, throughput, memory, and the cost of a grammar."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor

from hamster.benchmarks.clock import now, wall_ms
from hamster.planner.backend import Completion, GenerationRequest, SamplingParams, TokenCallback
from hamster.planner.transformers_backend import TransformersBackend
from hamster.planner.vlm import VlmPlanner

BATCHES = (1, 8, 64)
REPEATS = 30  # of one request, for its latency
SECONDS = 6.0  # time limit per batch size, after at least one batch
INSTRUCTION = "put the red cube on the blue cube"
SIDE_PX = 256


def bench_planner(
    planner: VlmPlanner, batches: tuple[int, ...] = BATCHES, repeats: int = REPEATS, seconds: float = SECONDS
) -> Iterator[dict[str, Any]]:
    """Yield measurements, as they are made, each a part of the record.

    {"prompt_tokens", "tokens"}, {"first_token_ms", "p50_ms", "p95_ms", "p99_ms"}, {"paths_per_s": {"1": …}},
    {"grammar": {"free_ms", "bound_ms", "cost"}} a token, {"memory_mb", "gpu_mb"}.

    Raises:
        ValueError: if the planner's model is not in this process.
    """
    backend = planner.backend
    if not isinstance(backend, TransformersBackend):
        raise ValueError("only a model in this process can be timed; for one behind an endpoint: hamster bench serve")
    image = scene()
    planner.plan_many([image], [INSTRUCTION])  # the first call sets things up
    request, sampling = request_of(planner, image)
    (completion,) = backend.generate([request], sampling)[0]
    yield {"prompt_tokens": completion.prompt_tokens, "tokens": completion.tokens}
    first = [wall_ms(lambda: backend.generate([request], replace(sampling, max_new_tokens=1))) for _ in range(repeats)]
    whole = [wall_ms(lambda: planner.plan_many([image], [INSTRUCTION])) for _ in range(repeats)]
    percentiles = {f"p{p}_ms": round(float(np.percentile(whole, p)), 1) for p in (50, 95, 99)}
    yield {"first_token_ms": round(median(first), 1), **percentiles}
    backend.batch = max(batches)
    yield {"paths_per_s": {str(n): _throughput(planner, image, n, seconds) for n in batches}}
    yield {"grammar": grammar_cost(backend, request, sampling)}
    yield _memory()


def scene() -> NDArray[np.uint8]:
    """Draw coloured blocks on a grey table, (256, 256, 3) uint8."""
    image = np.full((SIDE_PX, SIDE_PX, 3), 140, np.uint8)
    for x, y, rgb in ((70, 150, (200, 30, 30)), (150, 180, (40, 60, 200)), (190, 110, (40, 150, 60))):
        image[y : y + 24, x : x + 24] = rgb
    return image


def request_of(planner: VlmPlanner, image: NDArray[np.uint8]) -> tuple[GenerationRequest, SamplingParams]:
    """Return what a planner sends to its backend for a path on an image, without the check for refusals."""
    sent: list[tuple[GenerationRequest, SamplingParams]] = []

    class RecordingBackend:
        name = ""

        def generate(
            self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None = None
        ) -> list[list[Completion]]:
            sent.extend((request, sampling) for request in requests)
            return [[Completion("")] for _ in requests]

    replace(planner, backend=RecordingBackend()).plan_many([image], [INSTRUCTION])
    return sent[-1]


def grammar_cost(
    backend: TransformersBackend, request: GenerationRequest, sampling: SamplingParams, turns: int = 7
) -> dict[str, Any]:
    """Measure median milliseconds a token without a grammar and with it, and the relative cost of the grammar.

    Args:
        backend: to time.
        request: to generate for.
        sampling: with the grammar.
        turns: repetitions.
    """
    timing = _TimedBackend(backend.model, backend.processor, backend.name)
    for _ in range(turns):
        timing.generate([request], sampling)
    whole = [b - a for timed in timing.timed for (a, _), (b, _) in pairwise(timed.spans)]
    grammar = [end - start for timed in timing.timed for start, end in timed.spans[1:]]
    if not whole:
        return {"free_ms": None, "bound_ms": None, "cost": None}
    constrained, cost = 1000 * median(whole), 1000 * median(grammar)
    return {
        "free_ms": round(constrained - cost, 3),
        "bound_ms": round(constrained, 3),
        "cost": round(cost / (constrained - cost), 4),
    }


class _Timed(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """A logits processor that notes when a grammar begins and ends its work on each token."""

    def __init__(self, grammar: Any) -> None:
        self.grammar = grammar
        self.spans: list[tuple[float, float]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Apply the grammar, and note the time."""
        start = now()
        masked: Tensor = self.grammar(input_ids, scores)
        self.spans.append((start, now()))
        return masked


class _TimedBackend(TransformersBackend):
    """A backend that times its logits processors."""

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        super().__init__(model, processor, name)
        self.timed: list[_Timed] = []

    def _logits_processors(self, sampling: SamplingParams, length: int) -> list[Any]:
        timed = [_Timed(grammar) for grammar in super()._logits_processors(sampling, length)]
        self.timed += timed
        return timed


def _throughput(planner: VlmPlanner, image: NDArray[np.uint8], n: int, seconds: float) -> float:
    start, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - start < seconds:
        planner.plan_many([image] * n, [INSTRUCTION] * n)
        done += n
    return round(done / (time.perf_counter() - start), 2)


def _memory() -> dict[str, float]:
    """Return the peak memory of this process; on Linux the unit is a KiB, on macOS a byte."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = {"gpu_mb": round(torch.cuda.max_memory_allocated() / 1e6, 1)} if torch.cuda.is_available() else {}
    return {"memory_mb": round(most / 1e6, 1), **gpu}
