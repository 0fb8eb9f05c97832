"""Normalisation layers of the tower and the decoder.

Two kinds: root-mean-square normalisation, that of version 0.1, and layer normalisation without a bias, which also
subtracts the mean. PyTorch has one fused kernel for the latter on a CPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano.configuration import HamsterNanoConfig

EPSILON = 1e-5
INITIAL_HEAD_WEIGHT = 1.4


class Norm(nn.Module):
    """Normalisation over the last axis, with learned weights.

    Args:
        size: of the last axis.
        config: the planner's, which chooses the kind.
    """

    def __init__(self, size: int, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.is_centred = config.layer_norm

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., D) normalised, in the same shape."""
        return _normalised(x, self.weight.to(x.dtype), self.is_centred)


class ChannelNorm(Norm):
    """Normalisation over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, in the same shape; the permutations cost nothing for channels-last tensors."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class HeadNorm(nn.Module):
    """Normalisation of queries or keys (Henry et al., 2020, arXiv 2010.04245), with separate weights for each head.

    Weights start above 1: with heads of 32 dimensions, logits are then cosines times 11, enough to single out one of
    256 patches.

    Args:
        heads: number of attention heads.
        size: width of a head.
        config: the planner's, which chooses the kind.
    """

    def __init__(self, heads: int, size: int, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((heads, 1, size), INITIAL_HEAD_WEIGHT))
        self.is_centred = config.layer_norm

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, H, T, D) normalised, in the same shape."""
        return _normalised(x, None, self.is_centred) * self.weight.to(x.dtype)


def _normalised(x: Tensor, weight: Tensor | None, is_centred: bool) -> Tensor:
    if is_centred:
        return F.layer_norm(x, x.shape[-1:], weight, None, EPSILON)
    return F.rms_norm(x, x.shape[-1:], weight, EPSILON)
