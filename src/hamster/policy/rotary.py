"""Relative position in 3D by rotation of queries and keys (RoPE, Su et al. 2021, with three axes in every head).

Each head devotes a third of its pairs of channels to each axis, at frequencies from about 1 rad/m (the whole table) to
200 rad/m (a few millimetres), so logits depend on differences of positions alone: translation invariance by
construction. Cutting the heads out of one long x|y|z code, as published actors do, breaks that.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST_RAD_M, HIGHEST_RAD_M = 1.0, 200.0


def codes(positions_m: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (..., head_dim / 2), float32, of the angles of points (..., 3)."""
    pairs = head_dim // 2
    per_axis = pairs // 3
    exponents = torch.linspace(0, 1, per_axis, device=positions_m.device)
    frequencies = LOWEST_RAD_M * (HIGHEST_RAD_M / LOWEST_RAD_M) ** exponents
    angles = (positions_m.float()[..., None] * frequencies).flatten(-2)
    angles = torch.nn.functional.pad(angles, (0, pairs - 3 * per_axis))  # what is left over does not turn
    return angles.cos(), angles.sin()


def rotate(x: Tensor, code: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the pairs of channels of (B, heads, N, head_dim) by codes (B, N, head_dim / 2)."""
    cos, sin = (c[:, None].to(x.dtype) for c in code)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
