"""Check every action before the robot moves: a software guard, not a certified safety function."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
ROTATION_TOLERANCE = 1e-3  # of R @ R.T from the identity: what float32 networks and bfloat16 leave
_BOTTOM_ROW = (0.0, 0.0, 0.0, 1.0)


class UnsafeActionError(ValueError):
    """An action that must not be executed; the message names the pose and the bound that it violates."""


@dataclass(frozen=True)
class SafetyFilter:
    """Refuse actions that are malformed, leave the workspace or ask for more speed than allowed.

    An action is refused whole, before its first step: nothing is clipped, since a clipped action is a different one.
    The bounds are checked in the order finite numbers, shape and rotation, workspace, speed, gripper; finiteness comes
    first because every comparison with NaN is false.

    Speeds hold for streams of poses a fixed time apart. Keyposes have no time of their own: the motion generator that
    moves from one to the next keeps to its own speeds.

    Attributes:
        workspace_low_m: lower corner (x, y, z) of the box, in the world, that the tool's tip must not leave.
        workspace_high_m: upper corner.
        max_speed_m_s: speed of the tip between two poses of a stream.
        max_angular_speed_rad_s: angular speed of the tool between two poses of a stream.
    """

    workspace_low_m: tuple[float, float, float] = (0.1, -0.6, -0.03)
    workspace_high_m: tuple[float, float, float] = (0.9, 0.6, 0.9)
    max_speed_m_s: float = 1.0
    max_angular_speed_rad_s: float = 2 * pi

    def __post_init__(self) -> None:
        bounds = np.array([self.workspace_low_m, self.workspace_high_m], np.float64)
        if bounds.shape != (2, 3) or not np.isfinite(bounds).all() or not (bounds[0] < bounds[1]).all():
            raise ValueError("the workspace needs three finite lower bounds below three finite upper bounds, in metres")
        if not (0 < self.max_speed_m_s < np.inf and 0 < self.max_angular_speed_rad_s < np.inf):
            raise ValueError("max_speed_m_s and max_angular_speed_rad_s must be finite and > 0")

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
        poses, opening = _numbers(tool_poses_world, "tool poses"), _numbers(gripper_open, "gripper_open")
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0 or opening.shape != (len(poses),):
            raise UnsafeActionError(
                f"an action is tool poses (K >= 1, 4, 4) and gripper_open (K,), got {poses.shape} and {opening.shape}"
            )
        finite = np.isfinite(poses.reshape(len(poses), 16)).all(1) & np.isfinite(opening)
        _refuse(~finite, "a number is not finite")
        _check_rigid(poses)
        self._check_workspace(poses[:, :3, 3])
        if step_s is not None:
            self._check_speed(_with_current(poses, current_tool_pose_world), step_s, current_tool_pose_world is None)
        _refuse((opening < 0) | (opening > 1), "gripper_open {} is outside [0, 1]", opening)
        return poses, opening

    def _check_workspace(self, tips_m: Array) -> None:
        low, high = np.array(self.workspace_low_m), np.array(self.workspace_high_m)
        outside: NDArray[np.bool_] = np.any((tips_m < low) | (tips_m > high), axis=1)
        bounds = f"{_triple(low)} to {_triple(high)} m"
        _refuse(outside, f"the tip {{}} is outside the workspace {bounds}", [_triple(tip) for tip in tips_m[outside]])

    def _check_speed(self, poses: Array, step_s: float, starts_at_first: bool) -> None:
        """Check (K + 1 or K, 4, 4) consecutive poses; `starts_at_first`: poses[0] is pose 0 of the action itself."""
        is_number = isinstance(step_s, float | int | np.floating | np.integer) and not isinstance(step_s, bool)
        if not (is_number and 0 < step_s <= sys.float_info.max):
            raise UnsafeActionError(f"step_s must be finite and > 0, got {step_s!r}")
        with np.errstate(over="ignore"):  # of a step_s of 1e-300; infinite speeds are refused
            speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / step_s
            # |A - B| = 2 sqrt(2) sin(angle / 2) for two rotations, in the Frobenius norm.
            distance = np.linalg.norm(np.diff(_nearest_rotations(poses[:, :3, :3]), axis=0), axis=(1, 2))
            angular_speed = 2 * np.arcsin(np.minimum(distance / np.sqrt(8), 1)) / step_s
        for values, limit, unit in (
            (speed, self.max_speed_m_s, "m/s"),
            (angular_speed, self.max_angular_speed_rad_s, "rad/s"),
        ):
            reason = f"the tool would have to move at {{}} {unit} to get there, more than {limit:.3g} {unit}"
            _refuse(~(values <= limit), reason, values, first=int(starts_at_first))


def _numbers(values: ArrayLike, name: str) -> Array:
    """Return a float64 copy of numbers or booleans."""
    if np.ma.is_masked(values):
        raise UnsafeActionError(f"{name} are masked in places: what is not known cannot be checked")
    try:
        array = np.array(values)
    except ValueError:
        raise UnsafeActionError(f"{name} are no array: their rows have different lengths") from None
    except (TypeError, RuntimeError) as error:  # tensors elsewhere, with gradients, or in a format NumPy lacks
        raise UnsafeActionError(f"{name} cannot become an array of NumPy's: {error}") from None
    if array.dtype.kind not in "biuf":
        raise UnsafeActionError(f"{name} must be numbers, got an array of {array.dtype}")
    with np.errstate(over="ignore"):  # of wider floats; infinity is refused
        return array.astype(np.float64)


def _check_rigid(poses: Array) -> None:
    _refuse(~_are_proper(poses[:, :3, :3]), "the rotation is not a rotation")
    _refuse((poses[:, 3] != _BOTTOM_ROW).any(1), "the last row of a pose must be 0, 0, 0, 1")


def _are_proper(rotations: Array) -> NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):  # 1e300 squared; what comes of it is refused
        error = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
        proper: NDArray[np.bool_] = (error <= ROTATION_TOLERANCE) & (np.linalg.det(rotations) > 0)
    return proper


def _nearest_rotations(rotations: Array) -> Array:
    """Return the rotations nearest to matrices that are nearly such: two steps of Newton's, each squares the error.

    Angles between the matrices themselves would be half a percent short near 180 degrees.
    """
    for _ in range(2):
        rotations = rotations @ (3 * np.eye(3) - rotations.transpose(0, 2, 1) @ rotations) / 2
    return rotations


def _with_current(poses: Array, current_tool_pose_world: ArrayLike | None) -> Array:
    if current_tool_pose_world is None:
        return poses
    current = _numbers(current_tool_pose_world, "the current tool pose")
    is_pose = current.shape == (4, 4) and np.isfinite(current).all() and (current[3] == _BOTTOM_ROW).all()
    if not (is_pose and _are_proper(current[None, :3, :3]).all()):
        raise UnsafeActionError("the current tool pose must be a finite, rigid (4, 4) pose")
    return np.concatenate([current[None], poses])


def _refuse(violations: NDArray[np.bool_], reason: str, values: Any = (), first: int = 0) -> None:
    """Raise for the first violation, if there is any; `values` (of all poses, or of violations) fill the reason."""
    if violations.any():
        index = int(violations.argmax())
        if len(values):
            value = values[index] if len(values) == len(violations) else values[0]
            reason = reason.format(value if isinstance(value, str) else f"{value:.3g}")
        raise UnsafeActionError(f"pose {index + first}: {reason}")


def _triple(values: Array) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
