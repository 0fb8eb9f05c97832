"""Execute keyposes as control steps, with the motion generator that the expert's demonstrations were made with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN, Observation
from hamster.geometry.keypose_motion import keypose_steps, stream_steps
from hamster.rollout.environment import Environment

Array = NDArray[np.float64]


class Setpoint:
    """The last command, and the control steps that lead from it to the poses of a policy.

    Each motion starts at the last commanded pose, not at the measured one: a lagging arm would otherwise fall further
    behind with each keypose.

    Args:
        tool_pose_world: (4, 4) measured at the start, metres.
        gripper_open: measured state of the gripper.
    """

    def __init__(self, tool_pose_world: Array, gripper_open: bool) -> None:
        self.tool_pose_world, self.gripper_open = tool_pose_world, gripper_open

    def move(self, pose_world: Array, gripper_open: bool, step_s: float | None = None) -> Iterator[tuple[Array, bool]]:
        """Move to a tool pose, then command the gripper; yield the command of each control step.

        The arm comes to rest at a keypose, and passes through the poses of a stream. The caller may stop at any step:
        the setpoint is then where that step left it.

        Args:
            pose_world: (4, 4) target of the tool, metres.
            gripper_open: commanded once the pose is reached.
            step_s: seconds to the next pose of a stream; None for a keypose.
        """
        start = self.tool_pose_world, self.gripper_open
        if step_s is None:
            poses, openings = keypose_steps(*start, pose_world, gripper_open)
        else:
            poses, openings = stream_steps(*start, pose_world, gripper_open, step_s)
        for pose, opening in zip(poses, openings, strict=True):
            self.tool_pose_world, self.gripper_open = pose, bool(opening > HALF_OPEN)
            yield self.tool_pose_world, self.gripper_open


class Executor:
    """Moves one robot from keypose to keypose.

    Args:
        env: at the start of an episode, which may be in the middle of a task: a gripper that holds something stays
            closed until it is told to open.
        observation: now; its gripper counts if the environment does not know the last command.
    """

    def __init__(self, env: Environment, observation: Observation) -> None:
        self._env = env
        command = getattr(env, "gripper_command", None)
        is_open = observation.gripper_open if command is None else bool(command())
        self._setpoint = Setpoint(env.tool_pose_world(), is_open)

    @property
    def commanded_tool_pose_world(self) -> Array:
        """The last commanded tool pose (4, 4); before the first command, the measured one."""
        return self._setpoint.tool_pose_world

    def move(self, pose_world: Array, gripper_open: bool, step_s: float | None = None) -> Iterator[bool]:
        """Move as `Setpoint.move`; yield after each control step whether the task is done.

        Args:
            pose_world, gripper_open, step_s: as of `Setpoint.move`.
        """
        for _ in self._setpoint.move(pose_world, gripper_open, step_s):
            yield self.hold()

    def hold(self) -> bool:
        """Repeat the last command for one control step; return whether the task is done."""
        done = self._env.step(self._setpoint.tool_pose_world, self._setpoint.gripper_open)
        if not isinstance(done, bool | np.bool_):
            raise ValueError(
                f"step() of {type(self._env).__name__} returned a {type(done).__name__}; "
                "return whether the task is done, True or False"
            )
        return bool(done)
