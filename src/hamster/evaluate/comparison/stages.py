"""The stages of a planned comparison: commands that train planners and policies, and evaluations of all arms."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from hamster.evaluate.comparison.compare import sequences
from hamster.evaluate.comparison.episodes import Folder, read_runs
from hamster.evaluate.comparison.plan import Plan, PlannerTraining
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.pool import LoadWorker
from hamster.evaluate.run import Progress, evaluate_all
from hamster.files import write_atomic
from hamster.parallel import ONE_THREAD
from hamster.provenance import usable_cores
from hamster.stopped import RunStoppedError

SEED_OF_LABELS, SEED_OF_CALIBRATION = "0", "2000"  # development seeds
MAX_PROCESSES = 4  # of a planner's training


@dataclass(frozen=True)
class Command:
    """A command of a stage, which is skipped once it has finished.

    Attributes:
        name: of the step; safe as a file name.
        words: of the command line, after the interpreter.
    """

    name: str
    words: tuple[str, ...]


def planner_commands(plan: Plan, out: Path) -> Iterator[Command]:
    """Yield what makes the planners that arms or policies of the plan need: labels, training, calibration."""
    processes = min(MAX_PROCESSES, usable_cores())
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes)) if processes > 1 else ()
    for name, planner in needed_planners(plan).items():
        labels, folder = str(planner_labels(out, name)), planner_folder(out, name)
        if planner.checkpoint and not is_for_co_training(plan, name):
            continue
        yield _hamster(f"planner-{name}-labels", "label", planner.source, "--seed", SEED_OF_LABELS, "-o", labels)
        if planner.checkpoint:
            continue
        train = ("train", "planner", "--config", "nano", "--steps", str(planner.steps), "--data", labels)
        yield Command(f"planner-{name}-training", (*launcher, "-m", "hamster", *train, "--out", str(folder.parent)))
        if planner.calibration:
            calibrated = ("--planner", str(folder), "--calibrate", "--out", str(out / "calibration" / name))
            source = (planner.calibration, "--seed", SEED_OF_CALIBRATION)
            yield _hamster(f"planner-{name}-calibration", "eval-planner", *source, *calibrated)


def needed_planners(plan: Plan) -> dict[str, PlannerTraining]:
    """Return the planners that arms or policies of the plan need; policies contain the plan's first."""
    needed = {arm.condition for arm in plan.arms_to_run.values()}
    if _is_in_options(plan, "{planner"):
        needed |= set(list(plan.planners)[:1])
    return {name: planner for name, planner in plan.planners.items() if name in needed}


def is_for_co_training(plan: Plan, planner: str) -> bool:
    """Return whether policies of the plan are trained on a planner's label set, too; only the first's can be."""
    return planner == next(iter(plan.planners), "") and _is_in_options(plan, "{planner_labels}")


def _is_in_options(plan: Plan, place: str) -> bool:
    return any(place in word for options, _ in _policies(plan).values() for word in options)


def policy_commands(plan: Plan, out: Path) -> Iterator[Command]:
    """Yield what makes the policies of the plan, once for each training seed: demonstrations, trainings."""
    labels = str(demonstration_labels(out))
    yield _hamster("demonstrations", "label", plan.demonstrations, "--seed", SEED_OF_LABELS, "-o", labels)
    first, policies = next(iter(plan.planners), ""), _policies(plan)
    places = {"planner": planner_checkpoint(plan, out, first), "planner_labels": str(planner_labels(out, first))}
    for seed in range(max((n for _, n in policies.values()), default=0)):  # all policies before the next seed
        for name, (options, n_seeds) in policies.items():
            if seed < n_seeds:
                train = ("train", "policy", "--data", labels, "--seed", str(seed))
                made = ("--out", str(policy_folder(out, name, seed)))
                yield _hamster(f"policy-{name}-{seed}", *train, *made, *(_filled(word, places) for word in options))


def _hamster(name: str, *words: str) -> Command:
    return Command(name, ("-m", "hamster", *words))


def run_commands(commands: Sequence[Command], out: Path, at_once: int = 1) -> None:
    """Run the commands that have not finished yet, and print the time that each took.

    Args:
        commands: in this order; none of them needs another that is among the `at_once` before it.
        out: folder of all stages; several at once write their output to files in its folder `logs`.
        at_once: number of commands that run at the same time, each of them on one core if it is more than one.

    Raises:
        ValueError: if a finished step of that name was another command.
        RunStoppedError: if a command fails; those that run go on to their end, and no other is started.
    """
    left = [command for command in commands if not _is_done(command, out)]
    for folder in ("done",) if at_once == 1 else ("done", "logs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    is_stopped = Event()

    def run(command: Command) -> str:
        try:
            return "" if is_stopped.is_set() else _run_command(command, out, is_alone=at_once == 1)
        except BaseException:
            is_stopped.set()
            raise

    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(run, command) for command in left]
        try:
            for n_done, ended in enumerate(as_completed(running), len(commands) - len(left) + 1):
                if summary := ended.result():
                    _say(f"[{n_done}/{len(commands)}] {summary}")
        except BaseException:
            is_stopped.set()
            raise


def _is_done(command: Command, out: Path) -> bool:
    marker = out / "done" / command.name
    if not marker.is_file():
        return False
    if marker.read_text().splitlines()[0] != shlex.join(command.words):
        raise ValueError(
            f"{marker} was made by another command; name another --out, or delete that file and what it made"
        )
    return True


def _run_command(command: Command, out: Path, is_alone: bool) -> str:
    """Run a command to its end, its output at the end of its log, and return its name and time."""
    line, log = shlex.join(command.words), out / "logs" / f"{command.name}.log"
    _say(f"{command.name}: {line}" + ("" if is_alone else f" (output: {log})"))
    start = time.monotonic()
    with contextlib.nullcontext() if is_alone else log.open("a") as file:
        environment = None if is_alone else os.environ | dict.fromkeys(ONE_THREAD, "1")
        made = subprocess.run(  # noqa: S603  # of the plan
            [sys.executable, *command.words], check=False, stdout=file, stderr=file, env=environment
        )
    if made.returncode:
        shown = "" if is_alone else f" ({log})"
        raise RunStoppedError(
            f"{command.name} stopped with exit code {made.returncode}{shown}; run the same command again to go on"
        )
    seconds = time.monotonic() - start
    write_atomic(out / "done" / command.name, f"{line}\n{seconds:.0f} s\n")
    return f"{command.name}: {seconds:.0f} s"


def evaluate_plan(
    plan: Plan,
    out: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    load_worker: LoadWorker | None = None,
    engine: str = "local",
) -> None:
    """Evaluate all arms on the same scenes; with `stop_early`, block by block until all contrasts are decided.

    Args:
        plan: what to evaluate.
        out: result folder of all stages; finished episodes are not evaluated again.
        workers: number of processes, one per core if None.
        progress: as in `evaluate_config`.
        load_worker: loads the models, in each process once; `WorkerLoader` by default.
        engine: as in `EvalConfig`.

    Raises:
        ValueError: if a policy or planner is missing, or a folder holds another run.
        RunStoppedError: if several episodes in a row could not be measured.
    """
    scenes, settings = plan.scenes, plan.statistics
    for n in range(scenes.block, scenes.per_axis + 1, scenes.block) if settings.stop_early else [scenes.per_axis]:
        evaluate_all(_configs(plan, out, n, workers, engine), progress, load_worker)
        if settings.stop_early:
            looks = sequences(read_runs(result_folders(plan, out)), plan).values()
            if looks and all(sequence.is_decided(settings.half_width) for sequence in looks):
                return


def result_folders(plan: Plan, out: Path) -> list[Folder]:
    """Return the result folders of all arms, training seeds and axes that hold episodes."""
    listed = [
        Folder(_evaluation(out, name, seed, axis), name, seed)
        for name, arm in plan.arms_to_run.items()
        for seed in range(arm.seeds)
        for axis in plan.axes_of(arm)
    ]
    return [folder for folder in listed if (folder.path / "rollouts.jsonl").is_file()]


def _configs(plan: Plan, out: Path, n_scenes: int, workers: int | None, engine: str) -> list[EvalConfig]:
    return [
        EvalConfig(
            out=_evaluation(out, name, seed, axis),
            suite="+".join(filter(None, (f"axes-{axis}", arm.withheld))),
            planners=(planner_checkpoint(plan, out, arm.condition),),
            policy=str(policy_folder(out, arm.policy, seed)) if arm.policy in plan.policies else arm.policy,
            episodes=min(n_scenes, arm.per_axis or n_scenes),
            seed=plan.scenes.seed,
            replan=arm.replan,
            workers=workers,
            engine=engine,
            videos=name in plan.strips and seed == 0,
            allow_test_seeds=True,
        )
        for name, arm in plan.arms_to_run.items()
        for seed in range(arm.seeds)
        for axis in plan.axes_of(arm)
    ]


def _policies(plan: Plan) -> dict[str, tuple[tuple[str, ...], int]]:
    """Return the options of `hamster train policy` and the number of training seeds of the policies of all arms."""
    seeds: dict[str, int] = {}
    for arm in plan.arms_to_run.values():
        seeds[arm.policy] = max(seeds.get(arm.policy, 0), arm.seeds)
    return {
        name: (("--config", p.config, *(() if p.steps is None else ("--steps", str(p.steps))), *p.options), seeds[name])
        for name, p in plan.policies.items()
        if name in seeds
    }


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(f"{{{name}}}", place)
    return word


def planner_checkpoint(plan: Plan, out: Path, condition: str) -> str:
    """Return the name or folder of the planner of a condition; the condition itself if the plan has no such planner."""
    if condition not in plan.planners:
        return condition
    return plan.planners[condition].checkpoint or str(planner_folder(out, condition))


def planner_folder(out: Path, name: str) -> Path:
    """Return the folder of a trained planner's checkpoint; its training is in the one above."""
    return out / "planners" / name / "model"


def planner_labels(out: Path, name: str) -> Path:
    """Return the folder of the label set that a planner is trained on."""
    return out / "labels" / f"planner-{name}"


def demonstration_labels(out: Path) -> Path:
    """Return the folder of the label set that all policies are trained on."""
    return out / "labels" / "demonstrations"


def policy_folder(out: Path, name: str, seed: int) -> Path:
    """Return the folder of a policy's training and checkpoint."""
    return out / "policies" / name / f"seed-{seed}"


def _evaluation(out: Path, arm: str, seed: int, axis: str) -> Path:
    return out / "evaluations" / arm / f"seed-{seed}" / axis


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()
