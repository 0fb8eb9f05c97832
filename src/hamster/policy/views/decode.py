"""From heat maps to the waypoint: the exact best cell of an S³ grid, without visiting most of them.

A cell's score is the sum, over the views, of the log-probabilities of the pixels that it projects to. Axis-aligned
views see two axes each, so a score is A[x, y] + B[x, z] + C[y, z], and a row (x, y) of cells cannot hold more than
A[x, y] + max B[x, :] + max C[y, :]. Rows are visited from the highest such bound on, until the bound falls below the
best score so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hamster.policy.views.cube import VIEWS

MIN_ROWS, MAX_ROWS = 256, 4096  # visited at once: doubling from the one to the other
LOW = 0xFFFFFFFF
WINDOW = 3  # cells to each side over which a waypoint is refined


@dataclass(frozen=True)
class Planes:
    """Sums of the maps that see the same two axes: xy, xz, yz, each (B, S, S), indexed by cells along those axes."""

    xy: Tensor
    xz: Tensor
    yz: Tensor

    @classmethod
    def of(cls, maps: Tensor, views: tuple[str, ...]) -> Planes:
        """Sum maps (B, V, S, S) of the views, rows down and columns right."""
        planes = {axes: torch.zeros_like(maps[:, 0]) for axes in ((0, 1), (0, 2), (1, 2))}
        for i, name in enumerate(views):
            (right, down, _), signs = VIEWS[name].axes, VIEWS[name].signs
            backwards = [dim for dim, sign in ((2, signs[0]), (1, signs[1])) if sign < 0]
            plane = maps[:, i].flip(backwards)  # (down, right)
            planes[min(right, down), max(right, down)] += plane.transpose(1, 2) if right < down else plane
        return cls(*planes.values())

    def score(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Return the scores (B, ...) of cells at x, y and z (B, ...), indices that broadcast."""
        batch = torch.arange(len(self.xy), device=x.device).view(-1, *[1] * (x.dim() - 1))
        return (self.xy[batch, x, y] + self.xz[batch, x, z]) + self.yz[batch, y, z]


@torch.no_grad()
def best_cells(planes: Planes, k: int = 1) -> tuple[Tensor, Tensor]:
    """Return the k cells (B, k, 3) with the highest scores, best first, and those (B, k).

    Of equal ones the first in the order x, y, z counts.

    Equal to a search of all S³ cells, to the last bit: rounding keeps the order of sums, so a bound that is summed in
    the order of the scores is never below them.
    """
    size = planes.xy.shape[-1]
    rows = _best_rows(planes, min(k, size**2))  # a cell that is among the k best lies in a row that is
    cells = rows[..., None] * size + torch.arange(size, device=rows.device)
    key = _key(_row_scores(planes, rows), cells).flatten(1).topk(k, -1).values
    index = LOW - (key & LOW)
    x, y, z = index // size**2, index // size % size, index % size
    return torch.stack([x, y, z], -1), planes.score(x, y, z)


def refine(planes: Planes, cells: Tensor) -> Tensor:
    """Return the mean (B, 3), in cells, of the distribution in a small window of cells around each (B, 3)."""
    size = planes.xy.shape[-1]
    near = cells[:, :, None] + torch.arange(-WINDOW, WINDOW + 1, device=cells.device)  # (B, 3, W)
    exists = (near >= 0) & (near < size)
    x, y, z = near.clamp(0, size - 1).unbind(1)
    x, y, z = x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]
    all_exist = exists[:, 0, :, None, None] & exists[:, 1, None, :, None] & exists[:, 2, None, None, :]
    scores = planes.score(x, y, z).masked_fill(~all_exist, -torch.inf)
    weights = scores.flatten(1).softmax(-1).view_as(scores)
    sums = [weights.sum(dims) for dims in ((2, 3), (1, 3), (1, 2))]
    return torch.stack([(w * n).sum(-1) for w, n in zip(sums, near.unbind(1), strict=True)], -1)


def _best_rows(planes: Planes, k: int) -> Tensor:
    """Return the k rows (B, k), x * S + y, in which the highest scores are."""
    bound = (planes.xy + planes.xz.amax(-1)[:, :, None]) + planes.yz.amax(-1)[:, None, :]
    bound, order = bound.flatten(1).sort(-1, descending=True)
    best = torch.full((len(order), k), torch.iinfo(torch.int64).min, device=order.device)
    start, count = 0, MIN_ROWS
    while start < order.shape[1]:
        rows = order[:, start : start + count]
        best = torch.cat([best, _key(_row_scores(planes, rows).amax(-1), rows)], 1).topk(k, -1).values
        start, count = start + count, min(2 * count, MAX_ROWS)
        next_bound = _key(bound[:, start : start + 1], torch.zeros_like(order[:, :1]))
        if (next_bound < best[:, -1:]).all():
            break
    return LOW - (best & LOW)


def _row_scores(planes: Planes, rows: Tensor) -> Tensor:
    """(B, n, S) scores of all cells of rows (B, n), x * S + y."""
    size = planes.xy.shape[-1]
    x, y = rows // size, rows % size
    batch = torch.arange(len(rows), device=rows.device)[:, None]
    return (planes.xy[batch, x, y][..., None] + planes.xz[batch, x]) + planes.yz[batch, y]


def _key(scores: Tensor, index: Tensor) -> Tensor:
    """Return int64 ordered by score, then by lowest index.

    Float bits, made monotonic, are the upper half, the index counted down is the lower half.
    """
    bits = (scores + 0.0).float().contiguous().view(torch.int32)  # + 0.0: there is but one zero
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (bits.long() << 32) | (LOW - index)
