"""Straight motions between tool poses, sampled at the control rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.transforms import matrix_from_quaternion, quaternion_from_matrix

Array = NDArray[np.float64]


def interpolate(from_pose: ArrayLike, to_pose: ArrayLike, speed_m_s: float, turn_rad_s: float, dt: float) -> Array:
    """A straight line and a constant turn (slerp, the short way round) from one pose to another.

    Args:
        from_pose: (4, 4) rigid, metres.
        to_pose: (4, 4) rigid, metres, in the same frame.
        speed_m_s: not exceeded; the slower of speed and turn sets the time it takes.
        turn_rad_s: not exceeded.
        dt: seconds from one pose to the next.

    Returns:
        (T, 4, 4), T >= 1: the poses to command next, one per step. `from_pose`, where the tool already is, is not
        among them; the last one is `to_pose` exactly, also when there is nowhere to go.

    Raises:
        ValueError: if a speed or dt is not positive.
    """
    if not (speed_m_s > 0 and turn_rad_s > 0 and dt > 0):
        raise ValueError(f"speeds and dt must be > 0, got {speed_m_s} m/s, {turn_rad_s} rad/s, {dt} s")
    start, goal = np.asarray(from_pose, np.float64), np.asarray(to_pose, np.float64)
    axis, angle = _axis_angle(start[:3, :3].T @ goal[:3, :3])
    duration_s = max(float(np.linalg.norm(goal[:3, 3] - start[:3, 3])) / speed_m_s, angle / turn_rad_s)
    steps = max(1, int(np.ceil(duration_s / dt - 1e-9)))  # an exact multiple of dt takes no extra step
    part = np.arange(1, steps + 1) / steps
    poses = np.tile(np.eye(4), (steps, 1, 1))
    poses[:, :3, 3] = start[:3, 3] + part[:, None] * (goal[:3, 3] - start[:3, 3])
    half = part[:, None] * angle / 2
    poses[:, :3, :3] = start[:3, :3] @ matrix_from_quaternion(np.concatenate([np.cos(half), np.sin(half) * axis], -1))
    poses[-1] = goal
    return poses


def angle_between(rotation_a: ArrayLike, rotation_b: ArrayLike) -> float:
    """The angle in radians, in [0, pi], by which one has to turn from one rotation (3, 3) to another."""
    return _axis_angle(np.asarray(rotation_a, np.float64).T @ np.asarray(rotation_b, np.float64))[1]


def _axis_angle(rotation: Array) -> tuple[Array, float]:
    w, *xyz = quaternion_from_matrix(rotation)  # w >= 0, hence the short way round
    length = float(np.linalg.norm(xyz))
    axis = np.array(xyz) / length if length > 1e-12 else np.array([1.0, 0.0, 0.0])
    return axis, 2 * float(np.arctan2(length, w))
