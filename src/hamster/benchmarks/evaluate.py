"""Benchmark of evaluations: episodes of one and of two worker processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hamster.benchmarks.ratio import Ratio
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.run import evaluate_config

CONDITIONS = ("oracle", "nano", "none")
SUITE = "axes-basic"


def bench_evaluate(scenes: int = 60) -> Iterator[Ratio]:
    """Yield the comparison of `hamster bench eval`.

    Args:
        scenes: number of scenes, each in all `CONDITIONS`.
    """
    with TemporaryDirectory() as folder:
        one, two = (_seconds_per_episode(Path(folder) / str(n), scenes, n) for n in (1, 2))
    n = scenes * len(CONDITIONS)
    name = f"an episode of {SUITE} ({', '.join(CONDITIONS)}), of {n}"
    yield Ratio(name, "one worker", "two workers", one, two, limit=1.7, n=1)


def _seconds_per_episode(out: Path, scenes: int, workers: int) -> float:
    """Return the wall-clock time per episode behind the first quarter, in which processes start and load models."""
    ends: list[float] = []

    def noting_times(records: Iterable[Record], n_done: int, n_all: int) -> Iterator[Record]:
        for record in records:
            ends.append(time.perf_counter())
            yield record

    config = EvalConfig(out, SUITE, CONDITIONS, episodes=scenes, workers=workers, videos=False)
    evaluate_config(config, noting_times)
    first = len(ends) // 4
    return (ends[-1] - ends[first]) / (len(ends) - 1 - first)
