"""Straight motions between tool poses, sampled at the control rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.transforms import matrix_from_quaternion, quaternion_from_matrix

Array = NDArray[np.float64]


def interpolate(from_pose: ArrayLike, to_pose: ArrayLike, speed_m_s: float, turn_rad_s: float, dt: float) -> Array:
    """Return poses on a straight line with a constant turn (slerp, the short way round) from one pose to another.

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


def interpolate_poses(poses: ArrayLike, indices: ArrayLike) -> Array:
    """Return poses at fractional indices of a sequence: positions on straight lines, rotations the short way round.

    Args:
        poses: (T, 4, 4), close enough to each other that the normalised chord is the arc to within a thousandth.
        indices: (K,) in [0, T - 1].

    Returns:
        (K, 4, 4).
    """
    poses, indices = np.asarray(poses, np.float64), np.asarray(indices, np.float64)
    lower = np.floor(indices + 1e-9).astype(int).clip(0, len(poses) - 1)
    upper = np.minimum(lower + 1, len(poses) - 1)
    part = (indices - lower).clip(0, 1)[:, None]
    interpolated = np.tile(np.eye(4), (len(indices), 1, 1))
    interpolated[:, :3, 3] = (1 - part) * poses[lower, :3, 3] + part * poses[upper, :3, 3]
    a, b = quaternion_from_matrix(poses[lower, :3, :3]), quaternion_from_matrix(poses[upper, :3, :3])
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    interpolated[:, :3, :3] = matrix_from_quaternion((1 - part) * a + part * b)
    return interpolated


def angle_between(rotation_a: ArrayLike, rotation_b: ArrayLike) -> float:
    """Return the angle in radians, in [0, pi], by which one has to turn from one rotation (3, 3) to another."""
    return _axis_angle(np.asarray(rotation_a, np.float64).T @ np.asarray(rotation_b, np.float64))[1]


def _axis_angle(rotation: Array) -> tuple[Array, float]:
    w, *xyz = quaternion_from_matrix(rotation)  # w >= 0, hence the short way round
    length = float(np.linalg.norm(xyz))
    axis = np.array(xyz) / length if length > 1e-12 else np.array([1.0, 0.0, 0.0])
    return axis, 2 * float(np.arctan2(length, w))
