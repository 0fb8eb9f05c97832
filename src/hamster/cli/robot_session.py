"""Load what a run on a robot needs, run it with its records, and say how it ended."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hamster.files import write_atomic
from hamster.planner import load_planner
from hamster.planner.base import validate_instruction
from hamster.policy import load_policy
from hamster.provenance import run_info
from hamster.rollout import SafetyFilter
from hamster.rollout.interfaces import ActionChunkLike
from hamster.rollout.robots import EventLog, MotionLimits, RobotLoop, RobotLoopConfig, RobotRun, make_robot
from hamster.rollout.robots.config import ROBOT_BOUNDS
from hamster.rollout.robots.dataset import DatasetRecorder
from hamster.rollout.robots.recording import BackgroundRecorder, PathPictures, RerunRecording, StepSink
from hamster.stopped import RunStoppedError
from hamster.terminal import working

if TYPE_CHECKING:
    from hamster.cli.run_robot import RunRobot


def run_robot(options: RunRobot) -> None:
    """Run planner and policy on a robot.

    Raises:
        ValueError: for options that cannot work.
        RunStoppedError: if the robot was stopped, with the reason.
    """
    config = _config(options)
    if options.confirm and not sys.stdin.isatty():
        raise ValueError("--confirm asks on the terminal, and there is none")
    with working(f"loading {options.planner} and {options.policy} …"):
        planner = None
        if options.planner != "none":
            planner = load_planner(options.planner, dialect=options.dialect, **options.computed)
        policy = load_policy(options.policy, **options.computed)
    robot = make_robot(options.robot, **options.parsed_options())
    folder = _new_folder(options.out)
    log = EventLog(folder / "events.jsonl", show=_show)
    with working(f"connecting to {options.robot} …"):
        loop = RobotLoop(
            robot, planner, policy, config, instruction=options.instruction, log=log,
            confirm=_confirm if options.confirm else None,
        )  # fmt: skip
    try:
        instruction = validate_instruction(loop.instruction)
        recorder = BackgroundRecorder(_sinks(options, folder, instruction), log)
    except BaseException:  # Ctrl-C, too: an error before the run leaves no connection behind
        robot.disconnect()
        raise
    loop.recorders = (recorder,)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = loop.run()
    with working("writing the dataset …"):
        recorder.close()
    log.close()
    if log.error:
        _show(f"{folder / 'events.jsonl'} is not complete: {log.error}")
    write_atomic(folder / "run.json", json.dumps(_summary(run, instruction), indent=2) + "\n")
    _report(run, folder)


def _config(options: RunRobot) -> RobotLoopConfig:
    bounds = SafetyFilter(
        workspace_low_m=options.workspace_low_m,
        workspace_high_m=options.workspace_high_m,
        max_speed_m_s=options.speed_m_s * 1.2,
        max_acceleration_m_s2=ROBOT_BOUNDS.max_acceleration_m_s2,
        max_age_s=options.max_age_s,
    )
    return RobotLoopConfig(
        control_hz=options.control_hz, command_timeout_s=options.command_timeout_s, hold_age_s=options.max_age_s / 2,
        replan_s=options.replan_s, duration_s=options.duration_s, dry_run=options.dry_run,
        limits=MotionLimits(speed_m_s=options.speed_m_s), safety_filter=bounds,
    )  # fmt: skip


def _sinks(options: RunRobot, folder: Path, instruction: str) -> list[StepSink]:
    sinks: list[StepSink] = [PathPictures(folder)]
    if not options.dry_run:  # whose actions have moved nothing: they would be no demonstration
        sinks.append(DatasetRecorder(folder / "dataset", instruction))
    if options.rerun:
        sinks.append(RerunRecording(folder / "run.rrd"))
    return sinks


def _new_folder(out: Path) -> Path:
    """Make the next free folder run-000, run-001, …: no record is ever replaced."""
    out.mkdir(parents=True, exist_ok=True)
    for number in range(100_000):
        folder = out / f"run-{number:03d}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise ValueError(f"{out} is full of runs; name another folder")


def _confirm(action: ActionChunkLike) -> bool:
    """Ask the operator; the loop goes on holding the robot meanwhile."""
    tips = "  ".join(f"({x:.3f}, {y:.3f}, {z:.3f})" for x, y, z in np.asarray(action.poses)[:, :3, 3])
    state = "open" if np.asarray(action.gripper_open)[-1] else "closed"
    sys.stderr.write(f"next: tip to {tips} m, gripper {state}. Execute? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(line: str) -> None:
    sys.stderr.write(line[:200] + "\n")


def _summary(run: RobotRun, instruction: str) -> dict[str, object]:
    return {
        "instruction": instruction,
        "outcome": run.outcome,
        "reason": run.reason,
        "stop_confirmed": run.stop_confirmed,
        "commands": run.n_commands,
        "observations": run.n_observations,
        "observations_refused": run.n_refused,
        "control_interval_ms": run.interval_percentiles_ms(),
        "planner_s": [round(s, 3) for s in run.planner_s],
        "policy_s": [round(s, 3) for s in run.policy_s],
        **run_info(),
    }


def _report(run: RobotRun, folder: Path) -> None:
    rates = ", ".join(f"{name} {value:.1f} ms" for name, value in run.interval_percentiles_ms().items())
    print(f"{run.outcome}: {run.n_commands} commands ({rates or 'no interval'}), {run.n_observations} observations")  # noqa: T201
    print(folder)  # noqa: T201
    if not run.stop_confirmed:
        raise RunStoppedError(f"the robot has not confirmed its stop: use the emergency stop ({run.reason})")
    if run.outcome == "stopped":
        raise RunStoppedError(f"the robot was stopped: {run.reason}; look at it, and {folder / 'events.jsonl'}")
