"""Rotations as six numbers: the first two columns of the matrix (Zhou et al., CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def six_from_matrix(rotation: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the x axis, then the y axis."""
    return torch.cat([rotation[..., 0], rotation[..., 1]], -1)


def matrix_from_six(six: Tensor) -> Tensor:
    """(..., 6), of any length and not quite orthogonal -> (..., 3, 3) rotations, by Gram-Schmidt."""
    x = torch.nn.functional.normalize(six[..., :3], dim=-1)
    y = six[..., 3:] - (x * six[..., 3:]).sum(-1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle (...) in radians between rotations (..., 3, 3)."""
    cosine = ((a * b).sum((-2, -1)) - 1) / 2
    return torch.arccos(cosine.clamp(-1, 1))
