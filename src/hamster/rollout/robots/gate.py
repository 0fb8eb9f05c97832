"""The only place where a robot is commanded: every command passes the safety filter, and feeds the watchdog."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.data import HALF_OPEN
from hamster.rollout.robots.base import Robot, RobotError, RobotObservation, RobotSpec
from hamster.rollout.robots.watchdog import Watchdog
from hamster.rollout.safety import CommandContext, SafetyFilter
from hamster.rollout.safety_checks import UnsafeActionError

Array = NDArray[np.float64]
EARLIEST = 0.9
"""Share of a control period before which no command may follow the last: what bounds the step bounds the speed, too."""


class StoppedError(RuntimeError):
    """The robot is stopped and takes no commands until a person has reset it; the message says why it was stopped."""


class CommandGate:
    """Sends checked commands to a robot. The first violation of a bound stops it, until `reset`.

    Args:
        robot: connected.
        spec: its capabilities.
        safety_filter: with the bounds.
        watchdog: which stops the robot; started by the caller.
        period_s: between two commands, at least.
        dry_run: check everything, send nothing.
        clock: seconds.
    """

    def __init__(
        self,
        robot: Robot,
        spec: RobotSpec,
        safety_filter: SafetyFilter,
        watchdog: Watchdog,
        period_s: float,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._robot, self._spec, self._filter, self._watchdog = robot, spec, safety_filter, watchdog
        self._period_s, self._dry_run, self._clock = period_s, dry_run, clock
        self._commanded: Array | None = None  # (2, 4, 4) the last two; None before the first
        self.sent_s = -np.inf  # when the last command had been taken
        self.n_commands = 0

    @property
    def reason(self) -> str | None:
        """Why the robot is stopped; None while it is not."""
        return self._watchdog.reason

    def send(self, tool_pose_world: ArrayLike, gripper_open: bool, newest: RobotObservation) -> None:
        """Check a command and send it.

        Args:
            tool_pose_world: (4, 4), metres.
            gripper_open: target state of the gripper.
            newest: the newest observation, whose age counts.

        Raises:
            UnsafeActionError: if it violates a bound; the robot is stopped then.
            StoppedError: if the robot is stopped already.
            RobotError: if the robot did not take it; it is stopped then.
        """
        self._raise_if_stopped()
        now_s = self._clock()
        if (elapsed_s := now_s - self.sent_s) < EARLIEST * self._period_s:
            reason = f"command {elapsed_s:.3f} s after the last one; the control period is {self._period_s:.3f} s"
            self._watchdog.trip(reason)
            raise UnsafeActionError(reason)
        measured = np.asarray(newest.observation.tool_pose_world, np.float64)
        commanded = np.stack([measured, measured]) if self._commanded is None else self._commanded
        if self._dry_run:  # in which the robot does not follow
            measured = commanded[1]
        context = CommandContext(
            age_s=now_s - newest.captured_s,
            step_s=min(elapsed_s, self._period_s),
            measured_tool_pose_world=measured,
            commanded_tool_poses_world=commanded,
            joint_positions=newest.joint_positions,
            joint_limits=self._spec.joint_limits,
        )
        try:
            pose, opening = self._filter.check_command(tool_pose_world, gripper_open, context)
        except UnsafeActionError as error:
            self._watchdog.trip(f"command refused: {error}")
            raise
        self._send_checked(pose, opening > HALF_OPEN)
        # After the command has been taken: counted from before it, the next one could follow too soon.
        self._commanded, self.sent_s = np.stack([commanded[1], pose]), self._clock()

    def start(self) -> None:
        """Take the robot to be at rest at its measured pose: the next command is the first."""
        self._commanded, self.sent_s = None, -np.inf

    def stop(self, reason: str) -> None:
        """Stop the robot, until `reset`."""
        self._watchdog.trip(reason)

    def reset(self) -> None:
        """Allow commands again, after a person has looked; RuntimeError while the stop is not confirmed."""
        self._watchdog.reset()
        self.start()

    def _send_checked(self, pose: Array, gripper_open: bool) -> None:
        if not self._dry_run:
            try:
                self._robot.command(pose, gripper_open)
            except Exception as error:  # whatever a driver raises
                self._watchdog.trip(f"the robot did not take a command: {type(error).__name__}: {error}")
                raise RobotError(str(error)) from error
            if (reason := self._watchdog.reason) is not None:  # stopped meanwhile: this command may have come after it
                self._watchdog.trip(reason)
                self._raise_if_stopped()
            self._watchdog.feed()
        self.n_commands += 1

    def _raise_if_stopped(self) -> None:
        if (reason := self._watchdog.reason) is not None:
            raise StoppedError(reason)
