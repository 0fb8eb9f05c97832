"""Robots behind Gymnasium's interface, with the dictionaries of Robot Control Stack (`CARTESIAN_TQuat`).

Observation: "tquat" (7,), position in metres and quaternion (x, y, z, w) of the tool; "gripper", 0 closed to 1 open;
"frames", per camera {"rgb": {"data": (H, W, 3)}, "depth": {"data": (H, W, 1)}}; optionally "joints" (J,).
Action: "tquat" and "gripper", absolute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.geometry import inverse, matrix_from_quaternion, pose, quaternion_from_matrix
from hamster.rollout.robots.adapting import load_factory, read_calibration, view_of
from hamster.rollout.robots.base import RobotError, RobotObservation, RobotSpec

SILENCE_S = 5.0
STOP_S = 0.5
Array = NDArray[np.float64]


class GymnasiumRobot:
    """A robot that is a Gymnasium environment. A thread steps it at a fixed rate with the last target, or holds.

    Args:
        factory: "module:function", or a function, without arguments, that returns the environment.
        control_hz: steps per second.
        calibration: folder with `meta/cameras.json`, as for data sets (docs/formats.md); `recorded_from_tool` in it
            leads from the tool's tip to the frame of "tquat".
        instruction: of the task, if it is always the same.
    """

    def __init__(
        self,
        factory: str | Callable[[], Any],
        control_hz: float = 20.0,
        calibration: str | Path | None = None,
        instruction: str = "",
    ) -> None:
        self._make, self._calibration = load_factory(factory), calibration
        self._control_hz, self._instruction = control_hz, instruction
        self._condition = threading.Condition()
        self._newest: RobotObservation | None = None
        self._taken_s = -np.inf
        self._target: dict[str, Any] | None = None  # None: hold
        self._held: dict[str, Any] = {}
        self._stepped: dict[str, Any] | None = None  # the action of the last step
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._env: Any = None

    def connect(self) -> RobotSpec:
        """Make and reset the environment, which may move the robot to its start, and begin to step it.

        Raises:
            ValueError: if its observations are no dictionary of a robot with tool pose and cameras.
        """
        self._env = self._make()
        captured_s = time.monotonic()
        raw, _ = self._env.reset()
        if missing := [name for name in ("tquat", "gripper", "frames") if name not in raw]:
            raise ValueError(f"observations of the environment lack {', '.join(missing)}; they have {', '.join(raw)}")
        self._cameras = tuple(raw["frames"])
        self._calibrated, self._recorded_from_tool = read_calibration(self._calibration, self._cameras)
        self._newest = self._observation(raw, captured_s, done=False)
        self._held = self._hold()
        if not self._held:
            raise ValueError("the first observation of the environment has no finite tool pose and gripper")
        joints = tuple(f"joint{number}" for number in range(len(raw.get("joints", ()))))
        self._thread = threading.Thread(target=self._run, name="gymnasium", daemon=True)
        self._thread.start()
        return RobotSpec(self._cameras, self._control_hz, joints, instruction=self._instruction)

    def observe(self) -> RobotObservation:
        """Wait for the observation of the next step."""
        with self._condition:
            is_new = self._condition.wait_for(
                lambda: self._error or (self._newest and self._newest.captured_s > self._taken_s), SILENCE_S
            )
            self._check_steps()
            if not is_new or self._newest is None:
                raise RobotError(f"step() has not returned for {SILENCE_S:g} s")
            self._taken_s = self._newest.captured_s
            return self._newest

    def command(self, tool_pose_world: Array, gripper_open: bool) -> None:
        """Set the target of the next steps."""
        if self._env is None:
            raise RobotError("not connected")
        recorded = np.asarray(tool_pose_world) @ inverse(self._recorded_from_tool)
        target = _action(recorded, float(gripper_open))
        with self._condition:
            self._target = target

    def stop(self) -> None:
        """Hold the last measured pose from the next step on, and wait for it; RobotError if no step takes place."""
        with self._condition:
            if self._newest is None:
                raise RobotError("not connected")
            held = self._held = self._hold()
            self._target = None
            is_held = self._condition.wait_for(lambda: self._error or self._stepped is held, STOP_S)
        self._check_steps()
        if not is_held:
            raise RobotError(f"step() has not returned for {STOP_S:g} s: the robot may still be moving")

    def disconnect(self) -> None:
        """End stepping and close the environment."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(SILENCE_S)
            self._thread = None
        if self._env is not None:
            env, self._env = self._env, None
            env.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            start_s = time.monotonic()
            with self._condition:
                action = self._held if self._target is None else self._target
            try:
                raw, _, terminated, _, _ = self._env.step(action)
                newest = self._observation(raw, start_s, bool(terminated))  # the readings are younger than that
            except Exception as error:  # whatever a user's environment raises; `observe` reports it
                with self._condition:
                    self._error = error
                    self._condition.notify_all()
                return
            with self._condition:
                self._newest, self._stepped = newest, action
                self._condition.notify_all()
            time.sleep(max(0.0, start_s + 1 / self._control_hz - time.monotonic()))

    def _check_steps(self) -> None:
        """Raise RobotError if the environment's `step` has raised an error."""
        if self._error is not None:
            raise RobotError(f"step() failed: {type(self._error).__name__}: {self._error}") from self._error

    def _hold(self) -> dict[str, Any]:
        """Return the action that keeps the measured pose; while that is not finite, the last action."""
        assert self._newest is not None
        observation = self._newest.observation
        recorded = np.asarray(observation.tool_pose_world) @ inverse(self._recorded_from_tool)
        if not (np.isfinite(recorded).all() and np.isfinite(observation.gripper or 0.0)):
            return dict(self._held if self._target is None else self._target)
        return _action(recorded, 1.0 if observation.gripper is None else observation.gripper)

    def _observation(self, raw: dict[str, Any], captured_s: float, done: bool) -> RobotObservation:
        values = np.asarray(raw["tquat"], np.float64)
        if values.shape != (7,):
            raise RobotError(f"tquat is {values.shape}, not (7,)")
        x, y, z, w = values[3:]
        recorded = pose(values[:3], matrix_from_quaternion([w, x, y, z]))
        views = {}
        for name in self._cameras:
            frame = raw["frames"][name]
            depth = frame["depth"]["data"] if "depth" in frame else None
            views[name] = view_of(name, frame["rgb"]["data"], depth, self._calibrated.get(name))
        opening = float(np.asarray(raw["gripper"]).reshape(-1)[0])
        joints = np.asarray(raw["joints"], np.float64) if "joints" in raw else None
        tool_pose_world = recorded @ self._recorded_from_tool
        return RobotObservation(Observation(views, tool_pose_world, opening, captured_s), captured_s, joints, done)


def _action(recorded: Array, opening: float) -> dict[str, Any]:
    w, x, y, z = quaternion_from_matrix(recorded[:3, :3])
    return {"tquat": np.array([*recorded[:3, 3], x, y, z, w]), "gripper": np.array([opening], np.float32)}
