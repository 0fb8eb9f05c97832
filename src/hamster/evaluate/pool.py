"""Trials on several processes; what comes out does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.trials import Trial
from hamster.evaluate.worker import Bench
from hamster.parallel import each
from hamster.provenance import usable_cores

OpenBench = Callable[[EvalConfig], Bench]
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """How many processes to start for so many trials."""
    wanted = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(wanted, n_trials))


def run_trials(
    todo: Sequence[tuple[int, Trial]], configs: Sequence[EvalConfig], open_bench: OpenBench
) -> Iterator[tuple[int, Record]]:
    """Runs trials, each of the table with that number, and yields their records as they finish, in any order."""
    return each(_Work(tuple(configs), open_bench), todo, n_workers(configs[0], len(todo)))


@dataclass(frozen=True)
class _Work:
    configs: tuple[EvalConfig, ...]
    open_bench: OpenBench
    opened: dict[int, Bench] = field(default_factory=dict)  # the models of the table that is at work, no more

    def __call__(self, item: tuple[int, Trial]) -> tuple[int, Record]:
        number, trial = item
        if number not in self.opened:
            self.opened.clear()
            self.opened[number] = self.open_bench(self.configs[number])
        return number, self.opened[number].run(trial)
