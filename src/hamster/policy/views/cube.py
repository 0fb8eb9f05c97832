"""The cube that a look goes into, and the orthographic views of its faces.

A cube has a centre and half a side; local coordinates run from -1 to 1 along the world's axes. A view's pixel (row,
column) covers a square whose middle is at column + 0.5 and row + 0.5 pixels: rendering and heat maps share that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OrthographicView:
    """A view of a cube: which of the axes x, y, z run right, down and into the image, and their signs."""

    axes: tuple[int, int, int]
    signs: tuple[float, float, float]


VIEWS = {
    "top": OrthographicView((0, 1, 2), (1, -1, -1)),
    "front": OrthographicView((1, 2, 0), (1, -1, -1)),  # looks at the robot's face, along -x
    "right": OrthographicView((0, 2, 1), (1, -1, 1)),
    "left": OrthographicView((0, 2, 1), (-1, -1, -1)),
    "back": OrthographicView((1, 2, 0), (-1, -1, 1)),
}


def seen(local: Tensor, views: tuple[str, ...]) -> Tensor:
    """(..., 3) local points -> (..., V, 3): right, down and into each view, exactly (no product rounds)."""
    chosen = [VIEWS[name] for name in views]
    axes = torch.tensor([view.axes for view in chosen], device=local.device)
    signs = torch.tensor([view.signs for view in chosen], device=local.device, dtype=local.dtype)
    return local[..., axes] * signs


def to_px(right_down: Tensor, size: int) -> Tensor:
    """Local image coordinates in [-1, 1] -> pixels in [0, size]."""
    return (right_down + 1) * (size / 2)


def cell_to_local(cells: Tensor, size: int) -> Tensor:
    """Cells (…, 3), whole or not, to local coordinates of their middles."""
    return (cells + 0.5) * (2 / size) - 1
