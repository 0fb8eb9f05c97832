"""Check every action before the robot moves: a software guard, not a certified safety function."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.rollout.safety_checks import (
    UnsafeActionError,
    check_rigid,
    check_step_s,
    is_rigid,
    numbers,
    refuse,
    rotation_angles,
    rotation_vectors,
    triple,
)

__all__ = ["CommandContext", "SafetyFilter", "UnsafeActionError"]

Array = NDArray[np.float64]
CLOCK_TOLERANCE_S = 0.01  # by which an observation may be newer than the clock
ROUNDING = 1 + 1e-6  # of differences of poses divided by short times


@dataclass(frozen=True, eq=False)
class CommandContext:
    """The state that a single command of a robot is checked against.

    Attributes:
        age_s: seconds since the newest observation was taken.
        step_s: seconds since the last command; at most one control period, so that a pause allows no larger step.
        measured_tool_pose_world: (4, 4).
        commanded_tool_poses_world: (2, 4, 4) the last two commands, the newest last; twice the same at rest.
        joint_positions: (J,) measured, in radians or metres; None if the robot does not report them.
        joint_limits: (J, 2) lower and upper limits, in the same units.
    """

    age_s: float
    step_s: float
    measured_tool_pose_world: Array
    commanded_tool_poses_world: Array
    joint_positions: Array | None = None
    joint_limits: Array | None = None


@dataclass(frozen=True)
class SafetyFilter:
    """Refuse actions that are malformed, leave the workspace or ask for more speed than allowed.

    An action is refused whole, before its first step: nothing is clipped, since a clipped action is a different one.
    `check` is for the actions of a policy, in the order finite numbers, shape and rotation, workspace, speed, gripper;
    `check_command` for single commands of a robot, in the order finite numbers, age, workspace, joints, velocity and
    acceleration, step. Finiteness comes first because every comparison with NaN is false.

    Speeds of actions hold for streams of poses a fixed time apart. Keyposes have no time of their own: the motion
    generator that moves from one to the next keeps to its own speeds.

    Attributes:
        workspace_low_m: lower corner (x, y, z) of the box, in the world, that the tool's tip must not leave.
        workspace_high_m: upper corner.
        max_speed_m_s: speed of the tip between two poses of a stream, or two commands.
        max_angular_speed_rad_s: angular speed of the tool, likewise.
        max_acceleration_m_s2: change of velocity from one command to the next.
        max_angular_acceleration_rad_s2: likewise.
        max_age_s: of the observation behind a command.
        joint_margin: distance that measured joints keep from their limits, in radians or metres.
        max_step_m: distance from the measured to the commanded tip: what the robot would catch up with at once.
        max_step_rad: angle from the measured to the commanded tool.
    """

    workspace_low_m: tuple[float, float, float] = (0.1, -0.6, -0.03)
    workspace_high_m: tuple[float, float, float] = (0.9, 0.6, 0.9)
    max_speed_m_s: float = 1.0
    max_angular_speed_rad_s: float = 2 * pi
    max_acceleration_m_s2: float = 2.0
    max_angular_acceleration_rad_s2: float = 4 * pi
    max_age_s: float = 0.3
    joint_margin: float = 0.05
    max_step_m: float = 0.1
    max_step_rad: float = 0.5

    def __post_init__(self) -> None:
        bounds = np.array([self.workspace_low_m, self.workspace_high_m], np.float64)
        if bounds.shape != (2, 3) or not np.isfinite(bounds).all() or not (bounds[0] < bounds[1]).all():
            raise ValueError("the workspace needs three finite lower bounds below three finite upper bounds, in metres")
        for name in (
            "max_speed_m_s", "max_angular_speed_rad_s", "max_acceleration_m_s2", "max_angular_acceleration_rad_s2",
            "max_age_s", "max_step_m", "max_step_rad",
        ):  # fmt: skip
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite and > 0, got {getattr(self, name)}")
        if not 0 <= self.joint_margin < np.inf:
            raise ValueError(f"joint_margin must be finite and >= 0, got {self.joint_margin}")

    def check(
        self,
        tool_poses_world: ArrayLike,
        gripper_open: ArrayLike,
        step_s: float | None = None,
        current_tool_pose_world: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Return an action as checked copies, or refuse it.

        Args:
            tool_poses_world: (K, 4, 4) rigid tool poses in the world, metres, K >= 1.
            gripper_open: (K,) bool, or a share of the opening in [0, 1].
            step_s: seconds from one pose to the next, and from the current pose to the first; None for keyposes.
            current_tool_pose_world: (4, 4) measured or last commanded pose; if None, the motion to the first pose of
                a stream is not checked.

        Returns:
            The poses (K, 4, 4) and openings (K,) as float64 arrays that the caller's arrays cannot change any more.

        Raises:
            UnsafeActionError: if the action violates a bound.
        """
        poses, opening = _finite(tool_poses_world, gripper_open)
        self._check_workspace(poses[:, :3, 3])
        if step_s is not None:
            self._check_speed(_with_current(poses, current_tool_pose_world), step_s, current_tool_pose_world is None)
        _check_opening(opening)
        return poses, opening

    def check_command(
        self, tool_pose_world: ArrayLike, gripper_open: ArrayLike, context: CommandContext
    ) -> tuple[Array, float]:
        """Return a single command as a checked copy, or refuse it.

        Args:
            tool_pose_world: (4, 4) rigid, metres.
            gripper_open: bool, or a share of the opening in [0, 1].
            context: what is known of the robot now.

        Returns:
            The pose (4, 4) and the opening.

        Raises:
            UnsafeActionError: if the command violates a bound; the message names the first one.
        """
        pose, state = numbers(tool_pose_world, "the tool pose"), numbers(gripper_open, "gripper_open")
        poses, opening = _finite(pose[None], state[None])
        self.check_age(context.age_s)
        self._check_workspace(poses[:, :3, 3])
        self._check_joints(context.joint_positions, context.joint_limits)
        before = numbers(context.commanded_tool_poses_world, "the last commands")
        measured = numbers(context.measured_tool_pose_world, "the measured tool pose")
        if not (is_rigid(measured) and before.shape == (2, 4, 4) and all(is_rigid(pose) for pose in before)):
            raise UnsafeActionError("measured and commanded tool poses must be finite, rigid (4, 4) poses")
        self._check_speed(np.concatenate([before[1:], poses]), context.step_s, starts_at_first=False)
        self._check_acceleration(np.concatenate([before, poses]), context.step_s)
        self._check_step(np.stack([measured, poses[0]]))
        _check_opening(opening)
        return poses[0], float(opening[0])

    def check_age(self, age_s: float) -> None:
        """Refuse to act on a newest observation of this age; a negative age says that the clock stepped back.

        Raises:
            UnsafeActionError: if it is older than `max_age_s`, or newer than the clock.
        """
        if not -CLOCK_TOLERANCE_S <= age_s <= self.max_age_s:  # NaN is refused, too
            reason = f"is {age_s:.3f} s old, more than {self.max_age_s:g} s"
            if age_s < 0:
                reason = f"is {-age_s:.3f} s ahead of the clock, which stepped back"
            raise UnsafeActionError(f"the newest observation {reason}")

    def _check_workspace(self, tips_m: Array) -> None:
        low, high = np.array(self.workspace_low_m), np.array(self.workspace_high_m)
        outside: NDArray[np.bool_] = np.any((tips_m < low) | (tips_m > high), axis=1)
        bounds = f"{triple(low)} to {triple(high)} m"
        refuse(outside, f"the tip {{}} is outside the workspace {bounds}", [triple(tip) for tip in tips_m[outside]])

    def _check_joints(self, positions: Array | None, limits: Array | None) -> None:
        if positions is None or limits is None:
            return
        positions, limits = numbers(positions, "joint positions"), numbers(limits, "joint limits")
        if limits.shape != (len(positions), 2):
            raise UnsafeActionError(f"{len(positions)} joints need limits ({len(positions)}, 2), got {limits.shape}")
        low, high = limits[:, 0] + self.joint_margin, limits[:, 1] - self.joint_margin
        for index in np.flatnonzero(~((positions >= low) & (positions <= high))):  # NaN is refused, too
            raise UnsafeActionError(
                f"joint {index} is at {positions[index]:.3g}, outside its limits with margin "
                f"{low[index]:.3g} to {high[index]:.3g}"
            )

    def _check_speed(self, poses: Array, step_s: float, starts_at_first: bool) -> None:
        """Check (K + 1 or K, 4, 4) consecutive poses; `starts_at_first`: poses[0] is pose 0 of the action itself."""
        check_step_s(step_s)
        with np.errstate(over="ignore"):  # of a step_s of 1e-300; infinite speeds are refused
            speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / step_s
            angular_speed = rotation_angles(poses) / step_s
        for values, limit, unit in (
            (speed, self.max_speed_m_s, "m/s"),
            (angular_speed, self.max_angular_speed_rad_s, "rad/s"),
        ):
            reason = f"the tool would have to move at {{}} {unit} to get there, more than {limit:.3g} {unit}"
            refuse(~(values <= limit), reason, values, first=int(starts_at_first))

    def _check_acceleration(self, poses: Array, step_s: float) -> None:
        """Check the change of velocity over three consecutive poses (3, 4, 4)."""
        with np.errstate(over="ignore"):
            linear = np.linalg.norm(np.diff(poses[:, :3, 3], n=2, axis=0), axis=1) / step_s**2
            angular = np.linalg.norm(np.diff(rotation_vectors(poses), axis=0), axis=1) / step_s**2
        for values, limit, unit in (
            (linear, self.max_acceleration_m_s2, "m/s²"),
            (angular, self.max_angular_acceleration_rad_s2, "rad/s²"),
        ):
            reason = f"the tool would accelerate at {{}} {unit}, more than {limit:.3g} {unit}"
            refuse(~(values <= limit * ROUNDING), reason, values)

    def _check_step(self, poses: Array) -> None:
        """Check the distance from the measured to the commanded pose, (2, 4, 4)."""
        distance_m, angle_rad = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1), rotation_angles(poses)
        for values, limit, unit in ((distance_m, self.max_step_m, "m"), (angle_rad, self.max_step_rad, "rad")):
            reason = (
                f"it is {{}} {unit} from the measured pose, more than {limit:.3g} {unit}: the robot does not follow"
            )
            refuse(~(values <= limit), reason, values)


def _finite(tool_poses_world: ArrayLike, gripper_open: ArrayLike) -> tuple[Array, Array]:
    """Return poses (K, 4, 4) and openings (K,) that are finite and rigid."""
    poses, opening = numbers(tool_poses_world, "tool poses"), numbers(gripper_open, "gripper_open")
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0 or opening.shape != (len(poses),):
        raise UnsafeActionError(
            f"an action is tool poses (K >= 1, 4, 4) and gripper_open (K,), got {poses.shape} and {opening.shape}"
        )
    finite = np.isfinite(poses.reshape(len(poses), 16)).all(1) & np.isfinite(opening)
    refuse(~finite, "a number is not finite")
    check_rigid(poses)
    return poses, opening


def _check_opening(opening: Array) -> None:
    refuse((opening < 0) | (opening > 1), "gripper_open {} is outside [0, 1]", opening)


def _with_current(poses: Array, current_tool_pose_world: ArrayLike | None) -> Array:
    if current_tool_pose_world is None:
        return poses
    current = numbers(current_tool_pose_world, "the current tool pose")
    if not is_rigid(current):
        raise UnsafeActionError("the current tool pose must be a finite, rigid (4, 4) pose")
    return np.concatenate([current[None], poses])
