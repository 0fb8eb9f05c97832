"""Rigid transforms as (..., 4, 4) matrices named a_from_b, and quaternions as (w, x, y, z)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def apply(a_from_b: ArrayLike, points_b: ArrayLike) -> Array:
    """Move points (..., 3) from frame b to frame a."""
    matrix = np.asarray(a_from_b, np.float64)
    return np.asarray(np.asarray(points_b, np.float64) @ matrix[:3, :3].T + matrix[:3, 3])


def inverse(a_from_b: ArrayLike) -> Array:
    """Return b_from_a of a rigid transform (..., 4, 4)."""
    matrix = np.asarray(a_from_b, np.float64)
    out = np.zeros_like(matrix)
    rotation = np.swapaxes(matrix[..., :3, :3], -1, -2)
    out[..., :3, :3] = rotation
    out[..., :3, 3] = -(rotation @ matrix[..., :3, 3, None])[..., 0]
    out[..., 3, 3] = 1
    return out


def pose(position: ArrayLike, rotation: ArrayLike | None = None) -> Array:
    """Return the (4, 4) transform with this translation (3,) and rotation (3, 3), identity if None."""
    out = np.eye(4)
    out[:3, 3] = position
    if rotation is not None:
        out[:3, :3] = rotation
    return out


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Array:
    """Return world_from_camera (OpenCV axes) of a camera at `eye` that looks at `target`, `up` upwards in the image.

    Args:
        eye: (3,) position of the camera, metres, world frame.
        target: (3,) point on its optical axis.
        up: (3,) direction that points up in the image.
    """
    eye, forward = np.asarray(eye, np.float64), np.asarray(target, np.float64) - np.asarray(eye, np.float64)
    z = forward / np.linalg.norm(forward)
    x = np.cross(z, np.asarray(up, np.float64))
    x /= np.linalg.norm(x)
    return pose(eye, np.stack([x, np.cross(z, x), z], -1))


def matrix_from_quaternion(wxyz: ArrayLike) -> Array:
    """Return the rotations (..., 3, 3) of quaternions (..., 4), which are normalised here."""
    q = np.asarray(wxyz, np.float64)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternion_from_matrix(rotation: ArrayLike) -> Array:
    """Return the unit quaternions (..., 4), (w, x, y, z) with w >= 0, of rotations (..., 3, 3)."""
    m = np.asarray(rotation, np.float64)
    # The four candidates of Shepperd's method (each row is 4 q_i times q); the longest is the well-conditioned one.
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, yz, zx = m[..., 0, 1] + m[..., 1, 0], m[..., 1, 2] + m[..., 2, 1], m[..., 2, 0] + m[..., 0, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    rows = [
        [1 + xx + yy + zz, wx, wy, wz],
        [wx, 1 + xx - yy - zz, xy, zx],
        [wy, xy, 1 - xx + yy - zz, yz],
        [wz, zx, yz, 1 - xx - yy + zz],
    ]
    candidates = np.stack([np.stack(row, -1) for row in rows], -2)
    best = np.argmax(np.linalg.norm(candidates, axis=-1), -1)
    q = np.take_along_axis(candidates, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.asarray(np.where(q[..., :1] < 0, -q, q))


def matrix_from_euler_xyz(angles_rad: ArrayLike) -> Array:
    """Return rotations (..., 3, 3) of angles (..., 3) about the fixed axes x, y, z, in that order: Rz Ry Rx."""
    angles = np.asarray(angles_rad, np.float64)
    (sx, sy, sz), (cx, cy, cz) = np.moveaxis(np.sin(angles), -1, 0), np.moveaxis(np.cos(angles), -1, 0)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrix_from_rotation_vector(vectors: ArrayLike) -> Array:
    """Return rotations (..., 3, 3) of rotation vectors (..., 3): axis times angle in radians."""
    vectors = np.asarray(vectors, np.float64)
    half = np.linalg.norm(vectors, axis=-1, keepdims=True) / 2
    return matrix_from_quaternion(np.concatenate([np.cos(half), vectors * np.sinc(half / np.pi) / 2], -1))


def rotation_vector_from_matrix(rotation: ArrayLike) -> Array:
    """Return rotation vectors (..., 3), axis times angle in radians in [0, pi], of rotations (..., 3, 3)."""
    quaternions = quaternion_from_matrix(rotation)  # w >= 0, hence the short way round
    lengths = np.linalg.norm(quaternions[..., 1:], axis=-1, keepdims=True)
    angles = 2 * np.arctan2(lengths, quaternions[..., :1])
    return np.asarray(quaternions[..., 1:] * np.where(lengths > 1e-12, angles / np.maximum(lengths, 1e-12), 2.0))


def rotation_z(angle_rad: float) -> Array:
    """Return the rotation (3, 3) about z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
