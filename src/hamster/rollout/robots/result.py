"""The record of a run on a robot, and of its control steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.rollout.robots.base import RobotObservation
from hamster.rollout.robots.planning import PathInForce

Array = NDArray[np.float64]
Outcome = Literal["done", "time_limit", "operator", "stopped"]


@dataclass(frozen=True, eq=False)
class ControlStep:
    """One control period: what was known, and what was commanded.

    Attributes:
        newest: the newest observation.
        path: the path in force; None without a planner.
        tool_pose_world: (4, 4) commanded pose.
        gripper_open: commanded state of the gripper.
    """

    newest: RobotObservation
    path: PathInForce | None
    tool_pose_world: Array
    gripper_open: bool


class StepRecorder(Protocol):
    """Something that records control steps; it must return at once."""

    def record(self, step: ControlStep) -> None:
        """Record one control step."""


@dataclass(frozen=True, eq=False)
class RobotRun:
    """How a run ended, and its rates.

    Attributes:
        outcome: "done" if the robot reports that the task is done, "time_limit", "operator" for Ctrl-C, or "stopped".
        reason: of a stop.
        n_commands: that passed the filter.
        n_observations, n_refused: sound observations, and those that were refused.
        intervals_s: (N,) seconds from one command to the next.
        planner_s, policy_s: seconds per call.
        stop_confirmed: whether the robot's `stop` returned without an error, and no command was still being sent.
    """

    outcome: Outcome
    reason: str
    n_commands: int
    n_observations: int
    n_refused: int
    intervals_s: Array
    planner_s: tuple[float, ...]
    policy_s: tuple[float, ...]
    stop_confirmed: bool

    def interval_percentiles_ms(self) -> dict[str, float]:
        """Return p50, p99 and the longest time from one command to the next, milliseconds; {} of fewer than two."""
        return percentiles_ms(self.intervals_s)


def percentiles_ms(times_s: Array) -> dict[str, float]:
    """Return p50, p99 and max of times (N,) in seconds, as milliseconds; {} if there are none."""
    if not len(times_s):
        return {}
    values_ms = (*np.percentile(times_s, [50, 99]) * 1e3, times_s.max() * 1e3)
    return {name: round(float(value), 2) for name, value in zip(("p50", "p99", "max"), values_ms, strict=True)}
