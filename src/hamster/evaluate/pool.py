"""Trials on several processes; the results do not depend on how many."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.engines import ENGINES
from hamster.evaluate.journal import Record
from hamster.evaluate.suites import SUITES, registered_name
from hamster.evaluate.trials import Trial
from hamster.evaluate.worker import EvalWorker
from hamster.planner.registry import PLANNERS
from hamster.policy.registry import POLICY_TYPES
from hamster.provenance import usable_cores
from hamster.task_groups import grouped

LoadWorker = Callable[[EvalConfig], EvalWorker]
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """Return the number of processes for so many trials; 1 means this process."""
    if single_process_reason(config):
        return 1
    limit = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(limit, n_trials))


def single_process_reason(config: EvalConfig) -> str:
    """Return why an evaluation can only run in this process (a part that cannot be pickled); "" if it can in others."""
    if config.objects.suite is None and SUITES.is_of_script(registered_name(config.suite)):
        return f"the suite {config.suite!r} is registered by the script that is running"
    if config.objects.policy is None and POLICY_TYPES.is_of_script(config.policy):
        return f"the policy {config.policy!r} is registered by the script that is running"
    for name in config.planners:
        if name not in config.objects.planners and PLANNERS.is_of_script(name):
            return f"the planner {name!r} is registered by the script that is running"
    if not config.objects:
        return ""
    objects: dict[str, object] = {"the policy": config.objects.policy, "the suite": config.objects.suite}
    objects |= {f"the planner {name}": planner for name, planner in config.objects.planners.items()}
    for name, value in objects.items():
        try:
            content = pickle.dumps(value)
        except Exception as error:  # a user's __reduce__ may raise anything
            return f"{name} cannot be pickled ({type(error).__name__}: {error})"
        if b"__main__" in content:
            return f"the class of {name} is defined by the script that is running"
    return ""


def run_trials(
    todo: Sequence[tuple[int, Trial]], configs: Sequence[EvalConfig], load_worker: LoadWorker
) -> Iterator[tuple[int, Record]]:
    """Run trials and yield their records as they finish, in any order.

    All trials of a scene run in the same process, one after the other, whatever their table: the scene is sampled and
    compiled once, and planned on once by each planner.

    Args:
        todo: (index of its table, trial).
        configs: one per table; the first one's says on which engine and how many processes.
        load_worker: loads the models of a table, in each process once.

    Yields:
        (index of the table, record).
    """
    scenes = grouped(todo, lambda item: (configs[item[0]].suite, item[1].family, item[1].seed))
    engine = ENGINES[configs[0].engine]
    return engine(_Work(tuple(configs), load_worker), scenes, n_workers(configs[0], len(todo)))


@dataclass(frozen=True)
class _Work:
    configs: tuple[EvalConfig, ...]
    load_worker: LoadWorker
    loaded: dict[int, EvalWorker] = field(default_factory=dict)

    def __call__(self, item: tuple[int, Trial]) -> tuple[int, Record]:
        table, trial = item
        if table not in self.loaded:
            self.loaded[table] = self.load_worker(self.configs[table])
        return table, self.loaded[table].run(trial)
