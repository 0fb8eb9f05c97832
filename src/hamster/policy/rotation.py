"""Rotations in torch: Euler angles about the fixed axes x, then y, then z (R = Rz Ry Rx), and angular distance."""

from __future__ import annotations

import torch
from torch import Tensor


def euler_from_matrix(rotation: Tensor) -> Tensor:
    """Return angles (..., 3) in radians of rotations (..., 3, 3).

    y is in [-pi/2, pi/2]. In gimbal lock, where y is upright, z is 0 and x is all of the rotation.
    """
    sine = -rotation[..., 2, 0]
    cosine = torch.hypot(rotation[..., 0, 0], rotation[..., 1, 0])
    locked = cosine < 1e-6
    x = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    x_locked = torch.atan2(-rotation[..., 1, 2], rotation[..., 1, 1])
    z = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return torch.stack([torch.where(locked, x_locked, x), torch.atan2(sine, cosine), torch.where(locked, 0.0, z)], -1)


def matrix_from_euler(euler: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) of angles (..., 3) in radians."""
    (cx, cy, cz), (sx, sy, sz) = euler.cos().unbind(-1), euler.sin().unbind(-1)
    rows = [
        torch.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx], -1),
        torch.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx], -1),
        torch.stack([-sy, cy * sx, cy * cx], -1),
    ]
    return torch.stack(rows, -2)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle (...) in radians between rotations (..., 3, 3)."""
    cosine = ((a * b).sum((-2, -1)) - 1) / 2
    return torch.arccos(cosine.clamp(-1, 1))
