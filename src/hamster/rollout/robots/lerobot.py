"""LeRobot's robots: any object with `get_observation` and `send_action` that is commanded by tool poses.

LeRobot itself is not imported: a function of yours makes and configures the robot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.geometry import inverse, matrix_from_rotation_vector, pose, rotation_vector_from_matrix
from hamster.rollout.robots.adapting import load_factory, read_calibration, view_of
from hamster.rollout.robots.base import RobotError, RobotObservation, RobotSpec

POSITION, ROTATION = ("ee.x", "ee.y", "ee.z"), ("ee.wx", "ee.wy", "ee.wz")
GRIPPER = "ee.gripper_pos"
GRIPPER_OPEN = 100.0  # LeRobot's range of a gripper's motor, from 0
TOOL = (*POSITION, *ROTATION, GRIPPER)
BUS_S = 0.05
Array = NDArray[np.float64]


class LeRobotRobot:
    """A robot of LeRobot whose features are the tool's pose: ee.x … ee.wz (metres, rotation vector), ee.gripper_pos.

    LeRobot has no stop of its own: here it commands the last measured pose. That is no failsafe; have an emergency stop
    at hand. Observations are as old as the call of `get_observation`, whatever LeRobot's camera threads return.

    Args:
        factory: "module:function", or a function, without arguments, that returns the robot, not connected.
        calibration: folder with `meta/cameras.json`, as for data sets (docs/formats.md); `recorded_from_tool` in it
            leads from the tool's tip to the frame that the robot reports.
        control_hz: the highest rate of commands.
        instruction: of the task, if it is always the same.
    """

    def __init__(
        self,
        factory: str | Callable[[], Any],
        calibration: str | Path | None = None,
        control_hz: float = 30.0,
        instruction: str = "",
    ) -> None:
        self._make, self._calibration = load_factory(factory), calibration
        self._control_hz, self._instruction = control_hz, instruction
        self._robot: Any = None
        self._bus = threading.Lock()  # LeRobot's drivers are not made for several threads
        self._measured: dict[str, float] | None = None

    def connect(self) -> RobotSpec:
        """Make the robot and connect to it.

        Raises:
            ValueError: if it has no tool pose, or no camera.
        """
        robot = self._make()
        _check_features(robot.action_features, "action_features", (*TOOL,))
        _check_features(robot.observation_features, "observation_features", (*TOOL,))
        shapes = {name: shape for name, shape in robot.observation_features.items() if isinstance(shape, tuple)}
        self._cameras = tuple(name for name in shapes if not name.endswith("_depth"))
        calibrated, self._recorded_from_tool = read_calibration(self._calibration, self._cameras)
        self._calibrated = calibrated
        spec = RobotSpec(self._cameras, self._control_hz, instruction=self._instruction)
        robot.connect()
        self._robot = robot
        return spec

    def observe(self) -> RobotObservation:
        """Read motors and cameras."""
        if self._robot is None:
            raise RobotError("not connected")
        captured_s = time.monotonic()
        with self._bus:
            reading = self._robot.get_observation()
        measured = {name: float(reading[name]) for name in TOOL}
        self._measured = measured
        rotation = matrix_from_rotation_vector([measured[name] for name in ROTATION])
        world_from_recorded = pose([measured[name] for name in POSITION], rotation)
        views = {
            name: view_of(name, reading[name], reading.get(f"{name}_depth"), self._calibrated.get(name))
            for name in self._cameras
        }
        opening = float(np.clip(measured[GRIPPER] / GRIPPER_OPEN, 0, 1)) if np.isfinite(measured[GRIPPER]) else np.nan
        observation = Observation(views, world_from_recorded @ self._recorded_from_tool, opening, captured_s)
        return RobotObservation(observation, captured_s)

    def command(self, tool_pose_world: Array, gripper_open: bool) -> None:
        """Send the tool's pose."""
        target = np.asarray(tool_pose_world) @ inverse(self._recorded_from_tool)
        values = [*target[:3, 3], *rotation_vector_from_matrix(target[:3, :3]), GRIPPER_OPEN * gripper_open]
        self._send(dict(zip(TOOL, map(float, values), strict=True)))

    def stop(self) -> None:
        """Command the last measured pose; RobotError if there is none, or the bus is busy."""
        if self._measured is None or not np.isfinite(list(self._measured.values())).all():
            raise RobotError("there is no measured pose to hold")
        self._send(self._measured)

    def disconnect(self) -> None:
        """Disconnect from the robot."""
        if self._robot is not None:
            robot, self._robot = self._robot, None
            robot.disconnect()

    def _send(self, action: Mapping[str, float]) -> None:
        if self._robot is None:
            raise RobotError("not connected")
        if not self._bus.acquire(timeout=BUS_S):
            raise RobotError("the robot's bus is busy: a reading has not returned")
        try:
            self._robot.send_action(dict(action))
        finally:
            self._bus.release()


def _check_features(features: Mapping[str, Any], where: str, needed: tuple[str, ...]) -> None:
    """Raise ValueError, with the way out, unless the features hold a tool pose."""
    missing = [name for name in needed if name not in features]
    if not missing:
        return
    joints = [name for name in features if name.endswith(".pos")]
    if joints and len(missing) == len(needed):
        raise ValueError(
            f"{where} are joints ({', '.join(joints)}), and a policy commands tool poses: forward and inverse "
            f"kinematics are needed, which this adapter lacks; wrap the robot so that it has {', '.join(needed)}"
        )
    raise ValueError(f"{where} lack {', '.join(missing)}")
