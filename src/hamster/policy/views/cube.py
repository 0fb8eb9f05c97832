"""The cube that a stage renders, and the orthographic views of its faces.

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


def to_view_axes(local: Tensor, views: tuple[str, ...]) -> Tensor:
    """Return local points (..., 3) along the axes of each view: (..., V, 3) right, down and into it.

    Exact: no product rounds.
    """
    axes = torch.tensor([VIEWS[name].axes for name in views], device=local.device)
    signs = torch.tensor([VIEWS[name].signs for name in views], device=local.device, dtype=local.dtype)
    return local[..., axes] * signs


def to_px(right_down: Tensor, size: int) -> Tensor:
    """Return pixels in [0, size] of local image coordinates in [-1, 1]."""
    return (right_down + 1) * (size / 2)


def cell_to_local(cells: Tensor, size: int) -> Tensor:
    """Return the local coordinates of the middles of cells (…, 3), whole or not."""
    return (cells + 0.5) * (2 / size) - 1
