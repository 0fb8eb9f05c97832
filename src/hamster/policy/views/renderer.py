"""Points to orthographic views: an exact z-buffer in plain torch, batched, the same on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from hamster.policy.views.cube import to_px, to_view_axes

EMPTY = torch.iinfo(torch.int64).max


def render(
    local: Tensor, valid: Tensor, features: Tensor, views: tuple[str, ...], size: int, splat: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw the features of the points that are nearest to each view.

    A point outside the cube is not drawn: neither what lies behind a virtual camera, which stands on the cube's face,
    nor what a zoomed cube leaves out. Of points at the same depth the one with the lowest index is drawn.

    Args:
        local: (B, N, 3) in the cube's coordinates.
        valid: (B, N) False for points that do not exist.
        features: (B, N, C) float.
        splat: a point covers the pixels up to so many rows and columns from its own.

    Returns:
        (B, V, S, S, C) features, zero where there is nothing, and (B, V, S, S) bool, where there is something.
    """
    nearest = z_buffer(local, valid, views, size, splat)
    hit = nearest != EMPTY
    index = torch.where(hit, nearest & 0xFFFFFFFF, 0)
    image = features.flatten(0, 1)[index] if features.shape[1] else features.new_zeros(*hit.shape, features.shape[2])
    return image * hit[..., None], hit


def z_buffer(local: Tensor, valid: Tensor, views: tuple[str, ...], size: int, splat: int) -> Tensor:
    """Return (B, V, S, S) int64: the nearest depth's bits above the index in (B * N) of the nearest point, or EMPTY.

    Args: as of `render`.
    """
    batch, count = local.shape[:2]
    inside = valid & (local.abs() < 1).all(-1)
    index = inside.flatten().nonzero()[:, 0]  # all that follows is for the few that a zoomed cube holds
    at = to_view_axes(local.flatten(0, 1)[index], views)  # (M, V, 3)
    # The bits of positive floats are ordered as the floats are.
    depth = (at[..., 2] + 1).contiguous().view(torch.int32).long()
    column, row = to_px(at[..., :2], size).long().clamp_(max=size - 1).unbind(-1)
    image = (index // max(count, 1))[:, None] * len(views) + torch.arange(len(views), device=local.device)
    pixel = (image * size + row) * size + column
    key = (depth << 32) | index[:, None]
    buffer = torch.full((batch * len(views) * size * size,), EMPTY, dtype=torch.int64, device=local.device)
    buffer.scatter_reduce_(0, pixel.flatten(), key.flatten(), "amin")
    return _spread(_spread(buffer.view(batch, len(views), size, size), splat, 2), splat, 3)


def _spread(buffer: Tensor, reach: int, dim: int) -> Tensor:
    """Return the minimum of each pixel and its neighbours along a dimension: the same as splatting each point."""
    out, length = buffer.clone() if reach else buffer, buffer.shape[dim]
    for offset in range(1, min(reach, length - 1) + 1):
        low, high = (buffer.narrow(dim, start, length - offset) for start in (0, offset))
        for there, here in ((high, 0), (low, offset)):
            view = out.narrow(dim, here, length - offset)
            torch.minimum(view, there, out=view)
    return out
