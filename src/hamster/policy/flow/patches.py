"""Squares of 8 x 8 pixels, each of which becomes a token that sits on the nearest surface in it."""

from __future__ import annotations

import torch
from torch import Tensor

from hamster.policy.flow.config import PATCH_PX


def patches(x: Tensor) -> Tensor:
    """(..., S, S, C) -> (..., T, 64, C), T = (S / 8)²."""
    *outer, size, _, values = x.shape
    side = size // PATCH_PX
    x = x.reshape(*outer, side, PATCH_PX, side, PATCH_PX, values).transpose(-4, -3)
    return x.reshape(*outer, side**2, PATCH_PX**2, values)


def nearest(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Of each patch of depths (..., S, S) the nearest known pixel's index (..., T) in it, and whether there is one."""
    depth = patches(torch.where(depth > 0, depth, torch.inf)[..., None])[..., 0]
    index = depth.argmin(-1)
    return index, depth.gather(-1, index[..., None])[..., 0].isfinite()


def surface_points(points: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Of each patch of points (..., S, S, 3) the one nearest to the camera (..., T, 3), and whether there is one.

    One true point, not a mean: at an edge the mean lies between two surfaces, on neither.
    """
    index, known = nearest(depth)
    return patches(points).gather(-2, index[..., None, None].expand(*index.shape, 1, 3))[..., 0, :], known
