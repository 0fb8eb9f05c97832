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
from hamster.rollout.robots.result import percentiles_ms
from hamster.rollout.robots.watchdog import COMMAND_TIMEOUT_S, Watchdog

RATES_HZ = (10, 15, 20)
OBSERVATION_S = 1 / 30
PLANNER_S = (1.0, 3.0)
POLICY_S = 0.05
N_STOPS = 20
NO_STOP_S = 10.0
"""Timeout of commands and age of observations at which nothing is stopped, however busy the machine is."""
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
        """Set the pose."""
        self._pose = np.array(tool_pose_world)

    def stop(self) -> None:
        """Keep the pose."""

    def disconnect(self) -> None:
        """Do nothing: there is no connection."""


class SlowPlanner:
    """A planner that takes 1 to 3 s, drawn from a seed, and returns the same path."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Wait, and return a path."""
        time.sleep(self._random.uniform(*PLANNER_S))
        return BaselinePlan((Path2D(np.array([[0.2, 0.2], [0.8, 0.8]]), np.array([1, 0], np.int8)),))


class RandomKeyposePolicy:
    """A policy that takes 50 ms and moves to one random keypose after the other."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def reset(self) -> None:
        """Do nothing: there is no state."""

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> ActionChunk:
        """Return the next keypose."""
        time.sleep(POLICY_S)
        position = self._random.uniform([0.3, -0.3, 0.1], [0.6, 0.3, 0.4])
        return ActionChunk(down_pose(position, 0.0)[None], np.array([True]))


def bench_robot(seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the intervals between commands at several rates, and the delay of the watchdog's stop.

    Watchdog and age of observations are set to `NO_STOP_S` here, so that a busy machine is measured and not stopped.

    Args:
        seconds: per rate.
        progress: called with what is measured next.
    """
    rates = {}
    for rate_hz in RATES_HZ:
        progress(f"commands at {rate_hz} Hz")
        config = RobotLoopConfig(
            control_hz=rate_hz, command_timeout_s=NO_STOP_S, hold_age_s=NO_STOP_S, replan_s=0.01,
            duration_s=seconds + PLANNER_S[1], safety_filter=replace(ROBOT_BOUNDS, max_age_s=NO_STOP_S),
        )  # fmt: skip
        run = RobotLoop(PointRobot(), SlowPlanner(), RandomKeyposePolicy(), config).run()
        rates[str(rate_hz)] = {
            "outcome": run.outcome,
            "n": len(run.intervals_s),
            "period_ms": 1e3 / rate_hz,
            "late_ms": percentiles_ms(run.intervals_s - 1 / rate_hz),
            "over_timeout": int((run.intervals_s > COMMAND_TIMEOUT_S).sum()),
            "planner_calls": len(run.planner_s),
        }
    progress(f"{N_STOPS} stops of the watchdog")
    stops_ms = {"timeout_ms": COMMAND_TIMEOUT_S * 1e3, "n": N_STOPS, **percentiles_ms(_stop_delays_s())}
    return {"rates_hz": rates, "stop_ms": stops_ms}


def _stop_delays_s() -> NDArray[np.float64]:
    """Return (N_STOPS,) the seconds from a last command to the call of the robot's `stop`."""
    delays = []
    for _ in range(N_STOPS):
        stops: list[float] = []
        watchdog = Watchdog(partial(_append_time, stops))
        watchdog.start()
        fed_s = time.monotonic()
        watchdog.feed()
        while not stops:
            time.sleep(0.001)
        watchdog.close()
        delays.append(stops[0] - fed_s)
    return np.array(delays)


def _append_time(times: list[float]) -> None:
    times.append(time.monotonic())
