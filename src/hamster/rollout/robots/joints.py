"""Arms that report and take joint positions: poses of their tool by forward and inverse kinematics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.data.joint_source import RobotModel, joint_columns
from hamster.geometry.kinematics import JOINT_UNITS, from_radians, to_radians
from hamster.rollout.robots.base import RobotError

Array = NDArray[np.float64]
MAX_MISS_M = 0.01
"""Distance from a commanded tool pose to what the arm can reach, beyond which a command is refused."""
MAX_JOINT_STEP = 0.3
"""Change of a joint from one command to the next, radians or metres, beyond which inverse kinematics has jumped."""


class JointArm:
    """The joints of an arm that a driver names, and the pose of its tool.

    Orientations that the arm cannot reach, as one of five joints often cannot, are approached as far as it can; the
    position comes first.

    Args:
        model: the robot, with the unit of the joints.
        names: of the driver's joints, with or without the gripper's.

    Raises:
        ValueError: if the unit is not stated, the robot's file cannot be read, or its joints are not among the names.
    """

    def __init__(self, model: RobotModel, names: Sequence[str]) -> None:
        if model.joint_unit is None:
            raise ValueError(
                f"joint_unit is needed, one of {', '.join(JOINT_UNITS)}: the one that the robot is configured for "
                "(percent: LeRobot's -100 to 100; deg: its use_degrees)"
            )
        self._arm, self._model, self._unit = model.kinematics(), model, model.joint_unit
        taken, _ = joint_columns(names, len(names), self._arm)
        self.names = tuple(names[i] for i in taken)
        self.limits = np.stack([self._arm.lower, self._arm.upper], 1)
        self._commanded: Array | None = None

    def positions(self, reading: Mapping[str, float]) -> Array:
        """Return (J,) radians, or metres of slides, of the driver's numbers by name."""
        values = [float(reading[name]) for name in self.names]
        return to_radians(values, self._unit, self._arm.joints, self._model.lerobot_motors, self._model.full_turn)

    def tool_pose(self, positions: Array) -> Array:
        """Return (4, 4) in the frame of the robot's base; NaN if a position is not finite."""
        return self._arm.forward(positions)

    def solve(self, tool_pose_world: Array, measured: Array) -> dict[str, float]:
        """Return the driver's numbers by name that bring the tool to a pose near the last one.

        Args:
            tool_pose_world: (4, 4) in the frame of the robot's base.
            measured: (J,) positions, from which the first command starts.

        Raises:
            RobotError: if the arm cannot reach the position, or a joint would have to jump.
        """
        last = measured if self._commanded is None else self._commanded
        solution = self._arm.inverse(tool_pose_world, last, restarts=0)
        if not solution.position_error_m <= MAX_MISS_M:
            x, y, z = tool_pose_world[:3, 3]
            raise RobotError(
                f"the arm does not reach ({x:.3f}, {y:.3f}, {z:.3f}): it stays {solution.position_error_m:.3f} m away"
            )
        steps = np.abs(solution.positions - last)
        if not steps.max() <= MAX_JOINT_STEP:
            raise RobotError(
                f"inverse kinematics jumps: {self.names[int(steps.argmax())]} by {steps.max():.2f} in one command"
            )
        self._commanded = solution.positions
        values = from_radians(
            solution.positions, self._unit, self._arm.joints, self._model.lerobot_motors, self._model.full_turn
        )
        return dict(zip(self.names, values.tolist(), strict=True))
