"""Trials on several processes; what comes out does not depend on how many."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.suites import SUITES
from hamster.evaluate.trials import Trial
from hamster.evaluate.worker import EvalWorker
from hamster.parallel import parallel_map_unordered
from hamster.planner.registry import PLANNERS
from hamster.policy.registry import POLICY_TYPES
from hamster.provenance import usable_cores

LoadWorker = Callable[[EvalConfig], EvalWorker]
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """Return how many processes to start for so many trials; 1 is this one."""
    if why_here(config):
        return 1
    wanted = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(wanted, n_trials))


def why_here(config: EvalConfig) -> str:
    """Return why an evaluation can only run in this process: what of it no other process would have; "" if it can."""
    if config.objects.suite is None and SUITES.is_of_script(config.suite):
        return f"the suite {config.suite!r} is registered by the script that is running"
    if config.objects.policy is None and POLICY_TYPES.is_of_script(config.policy):
        return f"the policy {config.policy!r} is registered by the script that is running"
    for name in config.planners:
        if name not in config.objects.planners and PLANNERS.is_of_script(name):
            return f"the planner {name!r} is registered by the script that is running"
    if not config.objects:
        return ""
    parts: dict[str, object] = {"the policy": config.objects.policy, "the suite": config.objects.suite}
    parts |= {f"the planner {name}": planner for name, planner in config.objects.planners.items()}
    for name, part in parts.items():
        try:
            content = pickle.dumps(part)
        except Exception as error:  # whatever somebody's __reduce__ raises
            return f"{name} cannot be pickled ({type(error).__name__}: {error})"
        if b"__main__" in content:
            return f"the class of {name} is defined by the script that is running"
    return ""


def run_trials(
    todo: Sequence[tuple[int, Trial]], configs: Sequence[EvalConfig], load_worker: LoadWorker
) -> Iterator[tuple[int, Record]]:
    """Runs trials, each of the table with that number, and yields their records as they finish, in any order."""
    return parallel_map_unordered(_Work(tuple(configs), load_worker), todo, n_workers(configs[0], len(todo)))


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
