"""Trials on several processes; what comes out does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hamster.evaluate.bench import Bench
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.trials import Trial
from hamster.provenance import usable_cores
from hamster.workers import each

OpenBench = Callable[[EvalConfig], Bench]
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """How many processes to start for so many trials."""
    wanted = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(wanted, n_trials))


def run_trials(todo: Sequence[Trial], config: EvalConfig, open_bench: OpenBench) -> Iterator[Record]:
    """Runs the trials and yields their records as they finish, in any order."""
    return each(_Work(config, open_bench), todo, n_workers(config, len(todo)))


@dataclass(frozen=True)
class _Work:
    config: EvalConfig
    open_bench: OpenBench

    @cached_property
    def _bench(self) -> Bench:
        return self.open_bench(self.config)

    def __call__(self, trial: Trial) -> Record:
        return self._bench.run(trial)
