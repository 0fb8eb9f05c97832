"""How fast a planner in this process is: tokens, latency, throughput, memory, and what a grammar costs."""

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
from hamster.evaluate.stats import quantile
from hamster.planner.backend import Answer, Question, Sampling
from hamster.planner.transformers_backend import TransformersBackend
from hamster.planner.vlm import VlmPlanner

BATCHES = (1, 8, 64)
ASKED = 30  # times one question, for its latency
SECONDS = 6.0  # at most so long for each batch size, once at least
INSTRUCTION = "put the red cube on the blue cube"
SIDE_PX = 256


def bench_planner(
    planner: VlmPlanner, batches: tuple[int, ...] = BATCHES, asked: int = ASKED, seconds: float = SECONDS
) -> Iterator[dict[str, Any]]:
    """Measurements, as they are made, each a part of the record:

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
    question, sampling = asking(planner, image)
    (answer,) = backend.answer([question], sampling)[0]
    yield {"prompt_tokens": answer.prompt_tokens, "tokens": answer.tokens}
    first = [wall_ms(lambda: backend.answer([question], replace(sampling, max_new_tokens=1))) for _ in range(asked)]
    whole = [wall_ms(lambda: planner.plan_many([image], [INSTRUCTION])) for _ in range(asked)]
    percentiles = {f"p{p}_ms": round(quantile(whole, p / 100), 1) for p in (50, 95, 99)}
    yield {"first_token_ms": round(median(first), 1), **percentiles}
    backend.batch = max(batches)
    yield {"paths_per_s": {str(n): _throughput(planner, image, n, seconds) for n in batches}}
    yield {"grammar": grammar_cost(backend, question, sampling)}
    yield _memory()


def scene() -> NDArray[np.uint8]:
    """Coloured blocks on a grey table (256, 256, 3)."""
    image = np.full((SIDE_PX, SIDE_PX, 3), 140, np.uint8)
    for x, y, rgb in ((70, 150, (200, 30, 30)), (150, 180, (40, 60, 200)), (190, 110, (40, 150, 60))):
        image[y : y + 24, x : x + 24] = rgb
    return image


def asking(planner: VlmPlanner, image: NDArray[np.uint8]) -> tuple[Question, Sampling]:
    """What a planner asks its backend about an image, without refusals."""
    heard: list[tuple[Question, Sampling]] = []

    class Listening:
        name = ""

        def answer(self, questions: Sequence[Question], sampling: Sampling) -> list[list[Answer]]:
            heard.extend((question, sampling) for question in questions)
            return [[Answer("")] for _ in questions]

    replace(planner, backend=Listening()).plan_many([image], [INSTRUCTION])
    return heard[-1]


def grammar_cost(
    backend: TransformersBackend, question: Question, sampling: Sampling, turns: int = 7
) -> dict[str, Any]:
    """Milliseconds a token without its grammar and with it (medians), and what share of the former the grammar adds."""
    watched = _Watched(backend.model, backend.processor, backend.name)
    for _ in range(turns):
        watched.answer([question], sampling)
    whole = [b - a for timed in watched.timed for (a, _), (b, _) in pairwise(timed.spans)]
    grammar = [end - start for timed in watched.timed for start, end in timed.spans[1:]]
    if not whole:
        return {"free_ms": None, "bound_ms": None, "cost": None}
    bound, cost = 1000 * median(whole), 1000 * median(grammar)
    return {"free_ms": round(bound - cost, 3), "bound_ms": round(bound, 3), "cost": round(cost / (bound - cost), 4)}


class _Timed(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Notes when a grammar begins and ends its work on each token."""

    def __init__(self, grammar: Any) -> None:
        self.grammar = grammar
        self.spans: list[tuple[float, float]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """What the grammar makes of them."""
        start = now()
        bound: Tensor = self.grammar(input_ids, scores)
        self.spans.append((start, now()))
        return bound


class _Watched(TransformersBackend):
    """Times its grammars."""

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        super().__init__(model, processor, name)
        self.timed: list[_Timed] = []

    def _constraints(self, sampling: Sampling, length: int) -> list[Any]:
        found = [_Timed(grammar) for grammar in super()._constraints(sampling, length)]
        self.timed += found
        return found


def _throughput(planner: VlmPlanner, image: NDArray[np.uint8], n: int, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - began < seconds:
        planner.plan_many([image] * n, [INSTRUCTION] * n)
        done += n
    return round(done / (time.perf_counter() - began), 2)


def _memory() -> dict[str, float]:
    """The most that this process has used so far; on Linux the unit is a KiB, on macOS a byte."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = {"gpu_mb": round(torch.cuda.max_memory_allocated() / 1e6, 1)} if torch.cuda.is_available() else {}
    return {"memory_mb": round(most / 1e6, 1), **gpu}
