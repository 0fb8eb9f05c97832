"""Euler angles: rotations about the fixed axes x, then y, then z; R = Rz Ry Rx."""

from __future__ import annotations

import torch
from torch import Tensor


def euler_from_matrix(rotation: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) radians; y is in [-pi/2, pi/2]. Where y is upright, z is 0 and x does all the turning."""
    sine = -rotation[..., 2, 0]
    cosine = torch.hypot(rotation[..., 0, 0], rotation[..., 1, 0])
    upright = cosine < 1e-6
    x = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    x_upright = torch.atan2(-rotation[..., 1, 2], rotation[..., 1, 1])
    z = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return torch.stack(
        [torch.where(upright, x_upright, x), torch.atan2(sine, cosine), torch.where(upright, 0.0, z)], -1
    )


def matrix_from_euler(euler: Tensor) -> Tensor:
    """(..., 3) radians -> (..., 3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = euler.cos().unbind(-1), euler.sin().unbind(-1)
    rows = [
        torch.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx], -1),
        torch.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx], -1),
        torch.stack([-sy, cy * sx, cy * cx], -1),
    ]
    return torch.stack(rows, -2)
