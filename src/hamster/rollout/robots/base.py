"""The interface of a real or remote robot to the loop that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation

Array = NDArray[np.float64]


class RobotError(RuntimeError):
    """The robot cannot be reached, or does not do what was requested of it."""


@dataclass(frozen=True, eq=False)
class RobotSpec:
    """The capabilities of a connected robot.

    Attributes:
        cameras: names, as in the views of its observations; the planner looks through the first one.
        control_hz: the highest rate at which it takes commands.
        joint_names: of the joints whose positions it reports; () if it reports none.
        joint_limits: (J, 2) lower and upper limits, in radians, or metres for prismatic joints; None if unknown.
        instruction: the task, where the robot knows it, as a simulator does.

    Raises:
        ValueError: if there is no camera, the rate is not > 0, or limits do not fit the joints.
    """

    cameras: tuple[str, ...]
    control_hz: float
    joint_names: tuple[str, ...] = ()
    joint_limits: Array | None = None
    instruction: str = ""

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ValueError("a robot needs at least one camera")
        if not 0 < self.control_hz < np.inf:
            raise ValueError(f"control_hz must be finite and > 0, got {self.control_hz}")
        if self.joint_limits is not None:
            limits = np.array(self.joint_limits, np.float64)
            if limits.shape != (len(self.joint_names), 2) or not (limits[:, 0] < limits[:, 1]).all():
                raise ValueError(f"joint_limits must be ({len(self.joint_names)}, 2), each lower limit below the upper")
            object.__setattr__(self, "joint_limits", limits)


@dataclass(frozen=True, eq=False)
class RobotObservation:
    """Sensor readings and the time when they were taken. Their arrays must not be written to again.

    Attributes:
        observation: views of all cameras, the measured tool pose (4, 4) in the world, and the gripper's opening.
        captured_s: the loop's clock (`time.monotonic()`) at or before the moment when the oldest reading was taken.
            Where the robot has another clock, take the time before asking for the readings: an age may be
            overestimated, never underestimated.
        joint_positions: (J,) measured, in radians, or metres for prismatic joints; None only if the capabilities name
            no joints.
        task_done: whether the task is done, where the robot can tell, as a simulator can.
    """

    observation: Observation
    captured_s: float
    joint_positions: Array | None = None
    task_done: bool = False


@runtime_checkable
class Robot(Protocol):
    """An arm with a gripper and cameras, commanded by tool poses in the world.

    `observe` and `command` are called from two threads, each from one only. `stop` may come from a third, also while
    the others are still running.
    """

    def connect(self) -> RobotSpec:
        """Connect, without moving, and return the capabilities; RobotError if the robot cannot be reached."""

    def observe(self) -> RobotObservation:
        """Wait for new sensor readings and return them; RobotError if there are none any more."""

    def command(self, tool_pose_world: Array, gripper_open: bool) -> None:
        """Set the target for the next control period, and return without waiting for the motion.

        Args:
            tool_pose_world: (4, 4), metres, close to the last one.
            gripper_open: target state of the gripper.

        Raises:
            RobotError: if the command was not taken.
        """

    def stop(self) -> None:
        """Stop the motion and hold the position, within a few milliseconds, as often as it is called.

        Raises:
            RobotError: if the robot may still be moving.
        """

    def disconnect(self) -> None:
        """End the connection; the robot stays where it is. Nothing happens if there is no connection."""


def check_robot(robot: Robot) -> None:
    """Raise ValueError, with the way out, unless an object has the methods of a robot."""
    methods = ("connect", "observe", "command", "stop", "disconnect")
    if missing := [name for name in methods if not callable(getattr(robot, name, None))]:
        raise ValueError(f"{type(robot).__name__} is no robot yet: add {' and '.join(missing)} (see hamster.Robot)")
