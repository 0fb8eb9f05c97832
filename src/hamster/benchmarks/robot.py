"""The loop on a robot: the rate of commands while a planner takes seconds, and the delay of the watchdog's stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.geometry.keypose_motion import down_pose
from hamster.path import Path2D
from hamster.policy.base import ActionChunk
from hamster.rollout.baselines import BaselinePlan
from hamster.rollout.robots import RobotLoop, RobotLoopConfig, RobotObservation, RobotSpec
from hamster.rollout.robots.config import ROBOT_BOUNDS
from hamster.rollout.robots.watchdog import Watchdog

RATES_HZ = (10, 15, 20)
OBSERVATION_S = 1 / 30
PLANNER_S = (1.0, 3.0)
POLICY_S = 0.05
N_STOPS = 20
PATIENCE_S = 10.0
TIMEOUT_S = 0.1
IMAGE_SIZE = 256


class PointRobot:
    """A robot whose tool is wherever it is commanded to be, with one camera of 30 images per second."""

    def __init__(self) -> None:
        self._pose = down_pose((0.4, 0.0, 0.3), 0.0)
        self._random = np.random.default_rng(0)

    def connect(self) -> RobotSpec:
        """Return the capabilities."""
        return RobotSpec(("front",), 1000.0, instruction="measure the rate")

    def observe(self) -> RobotObservation:
        """Return the next image, of noise, and the pose."""
        time.sleep(OBSERVATION_S)
        captured_s = time.monotonic()
        rgb = self._random.integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        return RobotObservation(Observation({"front": View(rgb)}, self._pose.copy(), 1.0, captured_s), captured_s)

    def command(self, tool_pose_world: NDArray[np.float64], gripper_open: bool) -> None:
        """Be there."""
        self._pose = np.array(tool_pose_world)

    def stop(self) -> None:
        """Stay there."""

    def disconnect(self) -> None:
        """Nothing is open."""


class SlowPlanner:
    """Takes 1 to 3 s, drawn from a seed, for the same path."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Wait, and return a path."""
        time.sleep(self._random.uniform(*PLANNER_S))
        return BaselinePlan((Path2D(np.array([[0.2, 0.2], [0.8, 0.8]]), np.array([1, 0], np.int8)),))


class Wander:
    """A policy that takes 50 ms and moves to one random keypose after the other."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def reset(self) -> None:
        """Nothing is remembered."""

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> ActionChunk:
        """Return the next keypose."""
        time.sleep(POLICY_S)
        position = self._random.uniform([0.3, -0.3, 0.1], [0.6, 0.3, 0.4])
        return ActionChunk(down_pose(position, 0.0)[None], np.array([True]))


def bench_robot(seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the intervals between commands at several rates, and the delay of the watchdog's stop.

    Watchdog and age of observations are set to `PATIENCE_S` here, so that a busy machine is measured and not stopped.

    Args:
        seconds: per rate.
        progress: called with what is measured next.
    """
    rates = {}
    for rate_hz in RATES_HZ:
        progress(f"commands at {rate_hz} Hz")
        config = RobotLoopConfig(
            control_hz=rate_hz, command_timeout_s=PATIENCE_S, hold_age_s=PATIENCE_S, replan_s=0.01,
            duration_s=seconds + PLANNER_S[1], safety_filter=replace(ROBOT_BOUNDS, max_age_s=PATIENCE_S),
        )  # fmt: skip
        run = RobotLoop(PointRobot(), SlowPlanner(), Wander(), config).run()
        late_ms = (run.intervals_s - 1 / rate_hz) * 1e3
        rates[str(rate_hz)] = {
            "outcome": run.outcome,
            "n": len(run.intervals_s),
            "period_ms": 1e3 / rate_hz,
            "late_ms": _percentiles(late_ms),
            "over_timeout": int((run.intervals_s > TIMEOUT_S).sum()),
            "planner_calls": len(run.planner_s),
        }
    progress(f"{N_STOPS} stops of the watchdog")
    stops_ms = {"timeout_ms": TIMEOUT_S * 1e3, "n": N_STOPS, **_percentiles(_stop_delays_ms())}
    return {"rates_hz": rates, "stop_ms": stops_ms}


def _stop_delays_ms() -> NDArray[np.float64]:
    """Return (N_STOPS,) the times from a last command to the call of the robot's `stop`."""
    delays = []
    for _ in range(N_STOPS):
        stops: list[float] = []
        watchdog = Watchdog(partial(_append_time, stops), TIMEOUT_S)
        watchdog.start()
        fed_s = time.monotonic()
        watchdog.feed()
        while not stops:
            time.sleep(0.001)
        watchdog.close()
        delays.append((stops[0] - fed_s) * 1e3)
    return np.array(delays)


def _append_time(times: list[float]) -> None:
    times.append(time.monotonic())


def _percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    if not len(values):
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(values.max()), 2)}
