"""Trials on several processes; what comes out does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.trials import Trial
from hamster.evaluate.worker import EvalWorker
from hamster.parallel import each
from hamster.provenance import usable_cores

LoadWorker = Callable[[EvalConfig], EvalWorker]
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """How many processes to start for so many trials."""
    wanted = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(wanted, n_trials))


def run_trials(
    todo: Sequence[tuple[int, Trial]], configs: Sequence[EvalConfig], load_worker: LoadWorker
) -> Iterator[tuple[int, Record]]:
    """Runs trials, each of the table with that number, and yields their records as they finish, in any order."""
    return each(_Work(tuple(configs), load_worker), todo, n_workers(configs[0], len(todo)))


@dataclass(frozen=True)
class _Work:
    configs: tuple[EvalConfig, ...]
    load_worker: LoadWorker
    opened: dict[int, EvalWorker] = field(default_factory=dict)  # the models of the table that is at work, no more

    def __call__(self, item: tuple[int, Trial]) -> tuple[int, Record]:
        number, trial = item
        if number not in self.opened:
            self.opened.clear()
            self.opened[number] = self.load_worker(self.configs[number])
        return number, self.opened[number].run(trial)
