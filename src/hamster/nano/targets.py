"""Soft targets for answers: near misses cost less, and a point near an edge may be named from either patch."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from hamster.nano import tokens

PATCH_SIGMA = 0.35  # patches
BIN_SIGMA = 0.7  # bins


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return targets along one axis: (128, 16) patches per bin of the image, (8, 8) bins per bin of a patch."""
    places = (torch.arange(tokens.SIDE, device=device) + 0.5) / tokens.BINS - 0.5
    away = (places[:, None] - torch.arange(tokens.GRID, device=device)) / PATCH_SIGMA
    bins = torch.arange(tokens.BINS, device=device)
    apart = (bins[:, None] - bins) / BIN_SIGMA
    return (-0.5 * away**2).softmax(-1), (-0.5 * apart**2).softmax(-1)


def soft_targets(ids: Tensor, following: Tensor) -> Tensor:
    """Return target distributions (N, 324) over `tokens.ANSWER`.

    The target of a patch token is a Gaussian around the point named by it and its bin token; that of a bin token is a
    Gaussian around that bin.

    Args:
        ids: (N,) answer tokens.
        following: (N,) the token after each.
    """
    patches, bins = _tables(ids.device)
    patch, offset = ids - tokens.PATCHES, (following - tokens.OFFSETS).clamp(0, tokens.BINS**2 - 1)
    is_patch, is_bin = (ids >= tokens.PATCHES) & (ids < tokens.OFFSETS), ids >= tokens.OFFSETS
    patch = patch.clamp(0, tokens.GRID**2 - 1)
    row = patch // tokens.GRID * tokens.BINS + offset // tokens.BINS
    column = patch % tokens.GRID * tokens.BINS + offset % tokens.BINS
    own = (ids - tokens.OFFSETS).clamp(0, tokens.BINS**2 - 1)
    where = (patches[row, :, None] * patches[column, None, :]).flatten(1) * is_patch[:, None]
    within = (bins[own // tokens.BINS, :, None] * bins[own % tokens.BINS, None, :]).flatten(1) * is_bin[:, None]
    marks = (ids[:, None] == torch.arange(tokens.ANS, tokens.PATCHES, device=ids.device)).to(where.dtype)
    return torch.cat([marks, where, within], 1)


def answer_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean soft cross-entropy of an answer.

    Args:
        logits: (..., T, 324) over `tokens.ANSWER`.
        labels: (..., T) answer tokens, -100 where a position does not count.
    """
    following = torch.cat([labels[..., 1:], labels[..., :1]], -1)
    counts = labels >= 0
    chosen = logits[counts].float()
    return -(soft_targets(labels[counts], following[counts]) * chosen.log_softmax(-1)).sum(-1).mean()
