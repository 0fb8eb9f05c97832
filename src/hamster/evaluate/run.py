"""Run a table: trials, journal, summary, report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.identity import conditions_of, run_identity
from hamster.evaluate.journal import MEDIA_FOLDERS, Journal, Record, read_identity
from hamster.evaluate.outages import AGAIN, IN_A_ROW, Outages
from hamster.evaluate.pool import LoadWorker, n_workers, run_trials, single_process_reason
from hamster.evaluate.report import report
from hamster.evaluate.simulator_version import warn_of_other_mujoco
from hamster.evaluate.suites import check_expert, is_test_seed, suite_of
from hamster.evaluate.summary import summarize
from hamster.evaluate.trials import Trial, scene_seed, trials
from hamster.evaluate.worker import WorkerLoader
from hamster.files import lock_folder, write_atomic
from hamster.provenance import run_info
from hamster.rollout.result import UNMEASURED
from hamster.stopped import RunStoppedError

Progress = Callable[[Iterable[Record], int, int], Iterable[Record]]


def evaluate_config(
    config: EvalConfig, progress: Progress | None = None, load_worker: LoadWorker | None = None
) -> dict[str, Any]:
    """Run the remaining trials and write rollouts.jsonl, eval_info.json, report.html, videos and stills.

    Args:
        config: what to measure.
        progress: wraps the stream of records; called with the records, how many are done already and the total.
        load_worker: loads the models, in each process once; `WorkerLoader` by default.

    Returns:
        The content of eval_info.json. Episodes in which a planner's server did not respond, or robot or simulator broke
        down, do not count; they are listed under "unavailable", and run again by the next call.

    Raises:
        ValueError: if a name is unknown, the folder holds another run, or another process is at work in it.
        PlannerUnavailableError: if a planner's server does not respond at the start.
        RunStoppedError: if several episodes of a condition in a row could not be measured; the next call continues.
    """
    return evaluate_all([config], progress, load_worker)[0]


def evaluate_all(
    configs: Sequence[EvalConfig], progress: Progress | None = None, load_worker: LoadWorker | None = None
) -> list[dict[str, Any]]:
    """Run several tables on the same processes, all tables on a scene before the next; see `evaluate_config`."""
    for config in configs:
        _check(config)
    with ExitStack() as stack:
        for config in configs:
            stack.enter_context(lock_folder(config.out))
        return _evaluate_all(configs, progress, load_worker)


def _evaluate_all(
    configs: Sequence[EvalConfig], progress: Progress | None, load_worker: LoadWorker | None
) -> list[dict[str, Any]]:
    warn_of_other_mujoco(configs)
    planned = [trials(config) for config in configs]
    info, start = run_info(configs[0].seed), time.perf_counter()
    journals = [_open_journal(*table) for table in zip(configs, planned, strict=True)]
    done = [journal.records() for journal in journals]
    todo = [(i, trial) for i, table in enumerate(planned) for trial in table if trial.key not in done[i]]
    n_all, outages = sum(map(len, planned)), [Outages() for _ in configs]
    records = _journaled(run_trials(todo, configs, load_worker or WorkerLoader()), journals, outages)
    for _ in progress(records, n_all - len(todo), n_all) if progress else records:
        pass
    results = []
    for i, (config, journal) in enumerate(zip(configs, journals, strict=True)):
        journal.sort(trial.key for trial in planned[i])
        new = sum(number == i for number, _ in todo)
        meta = {
            **info,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(time.perf_counter() - start, 1),
            "workers": n_workers(config, len(todo)),
            "n_resumed": len(planned[i]) - new,
            "suite": config.suite,
            "tasks_per_scene": suite_of(config).tasks,
            "policy": config.policy,
            "replan": config.replan,
            "planner_latency_s": config.planner_latency_s,
            "identity": read_identity(config.out),
        }
        results.append(_write_results(config, planned[i], journal.records(), meta, outages[i]))
    return results


def _journaled(
    records: Iterable[tuple[int, Record]], journals: Sequence[Journal], outages: Sequence[Outages]
) -> Iterable[Record]:
    """Yield records once they are on disk; those cut off by an outage are counted as such and not written."""
    n_kept = 0
    for number, record in records:
        condition = record["condition"]
        if record["outcome"] not in UNMEASURED:
            journals[number].append(record)
            outages[number].answered(condition)
            n_kept += 1
        else:
            outages[number].note(condition, _why_unmeasured(record))
        yield record
        if outages[number].is_down(condition):
            raise RunStoppedError(
                f"stopped after {IN_A_ROW} outages of {condition} in a row ({_why_unmeasured(record)}); {n_kept} new "
                f"episodes are kept, and those that could not be measured do not count: {AGAIN}"
            )


def _why_unmeasured(record: Record) -> str:
    broken = record["outcome"] == "env_error"
    return f"the environment broke down: {record['message']}" if broken else str(record["message"])


def _write_results(
    config: EvalConfig,
    planned: Sequence[Trial],
    records: dict[str, Record],
    meta: dict[str, Any],
    outages: Outages,
) -> dict[str, Any]:
    ordered = [records[trial.key] for trial in planned if trial.key in records]
    if not ordered:
        raise RunStoppedError(f"nothing could be measured ({outages.summary()}); {AGAIN}")
    summary = {**summarize(ordered, config.planners, meta), "unavailable": outages.to_json()}
    write_atomic(config.out / "eval_info.json", json.dumps(summary, indent=2) + "\n")
    if config.videos:
        write_atomic(config.out / "report.html", report(summary, ordered, config.out))
    return summary


def _open_journal(config: EvalConfig, planned: Sequence[Trial]) -> Journal:
    identity, conditions = run_identity(config), conditions_of(config)
    if config.restart and _is_over(config.out, identity, conditions, planned):
        clear(config.out)
    return Journal(config.out, identity, conditions)


def _is_over(out: Path, identity: dict[str, Any], conditions: dict[str, Any], planned: Sequence[Trial]) -> bool:
    """Return whether the folder holds nothing that a run of this identity could continue."""
    try:
        done = Journal(out, identity, conditions).records()
    except ValueError:
        return True
    return all(trial.key in done for trial in planned)


def clear(out: Path) -> None:
    """Remove the files of a run from its folder, and nothing else."""
    for name in ("rollouts.jsonl", "conditions.json", "eval_info.json", "report.html"):
        (out / name).unlink(missing_ok=True)
    for name in MEDIA_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)


def _check(config: EvalConfig) -> None:
    suite = suite_of(config)
    for family in config.families:
        if family not in suite.families:
            names = ", ".join(suite.families)
            raise ValueError(f"unknown family {family!r} of suite {config.suite}; there are: {names}")
    if not config.allow_test_seeds and is_test_seed(config):
        raise ValueError(
            f"seed {config.seed} of {config.suite} is a test seed, which runs/headline.sh alone reads: take one below "
            "100000"
        )
    if config.episodes % suite.tasks:
        raise ValueError(f"a scene of {config.suite} has {suite.tasks} tasks: make episodes a multiple of that")
    if config.engine != "local" and (reason := single_process_reason(config)):
        raise ValueError(f"the engine {config.engine} needs what other processes can load: {reason}")
    check_expert(config, scene_seed(config.seed, 0))
