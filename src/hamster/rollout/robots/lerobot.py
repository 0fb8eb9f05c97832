"""LeRobot's robots: any object with `get_observation` and `send_action`, commanded by tool poses or by joints.

LeRobot itself is not imported: a function of yours makes and configures the robot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.data.joint_source import RobotModel
from hamster.geometry import inverse, matrix_from_rotation_vector, pose, rotation_vector_from_matrix
from hamster.geometry.kinematics import JointUnit
from hamster.rollout.robots.adapting import load_factory, read_calibration, view_of
from hamster.rollout.robots.base import RobotError, RobotObservation, RobotSpec
from hamster.rollout.robots.joints import JointArm

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITION, ROTATION = ("ee.x", "ee.y", "ee.z"), ("ee.wx", "ee.wy", "ee.wz")
GRIPPER = "ee.gripper_pos"
GRIPPER_OPEN = 100.0  # LeRobot's range of a gripper's motor, from 0
TOOL = (*POSITION, *ROTATION, GRIPPER)
JOINT, JOINT_GRIPPER = ".pos", "gripper.pos"
BUS_S = 0.05
Array = NDArray[np.float64]


class LeRobotRobot:
    """A robot of LeRobot whose features are joints (shoulder_pan.pos …) or the tool's pose (ee.x … ee.gripper_pos).

    Joints need the robot's model; the world is the frame of its base then. LeRobot has no stop of its own: here it
    commands the last measured joints or pose. That is no failsafe; have an emergency stop at hand.

    Cameras with `async_read` are read here, without the lock of the motors' bus, so that a slow camera delays no
    command and no stop. Without it, or with depth among the observations, `get_observation` reads everything at once.
    Observations are as old as the call, whatever LeRobot's camera threads return.

    Args:
        factory: "module:function", or a function, without arguments, that returns the robot, not connected.
        calibration: folder with `meta/cameras.json`, as for data sets (docs/formats.md); `recorded_from_tool` in it
            leads from the tool's tip to the frame that a robot with tool poses reports.
        control_hz: the highest rate of commands.
        instruction: of the task, if it is always the same.
        robot: of a robot with joints: its name, as of `hamster label --robot`.
        robot_model: its URDF or MJCF; that of the installed package if None.
        tool, tool_offset: body, link or site of that file, and the offset (x, y, z) to the tip, metres.
        joint_unit: of the joints.
    """

    def __init__(
        self,
        factory: str | Callable[[], Any],
        calibration: str | Path | None = None,
        control_hz: float = 30.0,
        instruction: str = "",
        robot: str = "",
        robot_model: str | Path | None = None,
        tool: str = "",
        tool_offset: tuple[float, float, float] | None = None,
        joint_unit: JointUnit | None = None,
    ) -> None:
        self._make, self._calibration = load_factory(factory), calibration
        self._control_hz, self._instruction = control_hz, instruction
        offset = None if tool_offset is None else tuple(tool_offset)
        file = None if robot_model is None else Path(robot_model)
        self._model = RobotModel(robot, file, tool, offset, joint_unit)  # type: ignore[arg-type]  # of which length, it says
        self._robot: Any = None
        self._bus = threading.Lock()  # LeRobot's drivers are not made for several threads
        self._arm: JointArm | None = None
        self._readers: dict[str, Any] = {}
        self._measured: dict[str, float] | None = None

    def connect(self) -> RobotSpec:
        """Make the robot and connect to it.

        Raises:
            ValueError: if it has neither a tool pose nor joints of a robot that is named, or no camera.
        """
        robot = self._make()
        self._arm = self._joint_arm(robot)
        self._motors = TOOL if self._arm is None else (*self._arm.names, JOINT_GRIPPER)
        for where in ("action_features", "observation_features"):
            if missing := [name for name in self._motors if name not in getattr(robot, where)]:
                raise ValueError(f"{where} lack {', '.join(missing)}")
        shapes = {name: shape for name, shape in robot.observation_features.items() if isinstance(shape, tuple)}
        self._cameras = tuple(name for name in shapes if not name.endswith("_depth"))
        self._calibrated, self._recorded_from_tool = read_calibration(self._calibration, self._cameras)
        joints = () if self._arm is None else self._arm.names
        limits = None if self._arm is None or not np.isfinite(self._arm.limits).all() else self._arm.limits
        spec = RobotSpec(self._cameras, self._control_hz, joints, limits, self._instruction)
        robot.connect()
        self._robot, self._readers = robot, _separate_cameras(robot, tuple(shapes))
        return spec

    def observe(self) -> RobotObservation:
        """Read motors and cameras."""
        if self._robot is None:
            raise RobotError("not connected")
        captured_s = time.monotonic()
        with self._bus, _without_cameras(self._robot, bool(self._readers)):
            reading = dict(self._robot.get_observation())
        reading |= {name: camera.async_read() for name, camera in self._readers.items()}
        measured = {name: float(reading[name]) for name in self._motors}
        self._measured = measured
        joints = None if self._arm is None else self._arm.positions(measured)
        views = {
            name: view_of(name, reading[name], reading.get(f"{name}_depth"), self._calibrated.get(name))
            for name in self._cameras
        }
        percent = measured[self._motors[-1]]
        opening = float(np.clip(percent / GRIPPER_OPEN, 0, 1)) if np.isfinite(percent) else np.nan
        observation = Observation(views, self._tool_pose(measured, joints), opening, captured_s)
        return RobotObservation(observation, captured_s, joints)

    def command(self, tool_pose_world: Array, gripper_open: bool) -> None:
        """Send the tool's pose, or the joints that reach it; RobotError if none do."""
        target = np.asarray(tool_pose_world)
        if self._arm is not None:
            if self._measured is None:
                raise RobotError("there is no measured position to start from")
            action = self._arm.solve(target, self._arm.positions(self._measured))
        else:
            recorded = target @ inverse(self._recorded_from_tool)
            values = [*recorded[:3, 3], *rotation_vector_from_matrix(recorded[:3, :3])]
            action = dict(zip(TOOL, map(float, values), strict=False))
        self._send({**action, self._motors[-1]: GRIPPER_OPEN * gripper_open})

    def stop(self) -> None:
        """Command what was measured last; RobotError if there is nothing, or the bus is busy."""
        if self._measured is None or not np.isfinite(list(self._measured.values())).all():
            raise RobotError("there is no measured pose to hold")
        self._send(self._measured)

    def disconnect(self) -> None:
        """Disconnect from the robot."""
        if self._robot is not None:
            robot, self._robot = self._robot, None
            robot.disconnect()

    def _joint_arm(self, robot: Any) -> JointArm | None:
        """Return the joints of a robot that is commanded by them; ValueError, with the way out, without its model."""
        joints = [name for name in robot.action_features if name.endswith(JOINT) and name != JOINT_GRIPPER]
        if not joints or any(name in robot.action_features for name in TOOL):
            return None
        if not self._model.robot and self._model.file is None:
            raise ValueError(
                f"action_features are joints ({', '.join(joints)}), and a policy commands tool poses: name the robot, "
                "--options robot=so101 joint_unit=percent, or its file, robot_model=FILE tool=NAME"
            )
        return JointArm(self._model, joints)

    def _tool_pose(self, measured: Mapping[str, float], joints: Array | None) -> Array:
        """Return (4, 4) in the world."""
        if self._arm is not None and joints is not None:
            return self._arm.tool_pose(joints)
        rotation = matrix_from_rotation_vector([measured[name] for name in ROTATION])
        return pose([measured[name] for name in POSITION], rotation) @ self._recorded_from_tool

    def _send(self, action: Mapping[str, float]) -> None:
        if self._robot is None:
            raise RobotError("not connected")
        if not self._bus.acquire(timeout=BUS_S):
            raise RobotError("the robot's bus is busy: a reading has not returned")
        try:
            self._robot.send_action(dict(action))
        finally:
            self._bus.release()


def _separate_cameras(robot: Any, features: tuple[str, ...]) -> dict[str, Any]:
    """Return a robot's cameras by name if these give all its images by themselves, else {}."""
    cameras = getattr(robot, "cameras", None)
    if not isinstance(cameras, dict) or set(cameras) != set(features):
        return {}
    return dict(cameras) if all(hasattr(camera, "async_read") for camera in cameras.values()) else {}


@contextmanager
def _without_cameras(robot: Any, apart: bool) -> Iterator[None]:
    """Have `get_observation` read the motors alone, as it does of a robot that was configured without cameras."""
    if not apart:
        yield
        return
    cameras, robot.cameras = robot.cameras, {}
    try:
        yield
    finally:
        robot.cameras = cameras
