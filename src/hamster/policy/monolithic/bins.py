"""Numbers as tokens: 256 bins per dimension between quantiles of the training actions (RT-2, OpenVLA)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.views.euler import euler_from_matrix, matrix_from_euler

BINS = 256
DIMENSIONS = 7  # x, y, z, three angles, gripper
# OpenVLA cuts a hundredth off at each end. Of keyposes that is the table's rim, so here it is a thousandth, and a
# margin is added instead.
CUT, MARGIN = 0.001, 0.02
NARROWEST = 0.02  # metres or radians: a dimension in which nothing ever moves still needs a scale


class Bins(nn.Module):
    """Poses to bins and back. What is known of the data is saved with the weights.

    Angles are those of the rotation from a reference, the mean of the training data: far from where they turn over.
    """

    low: Tensor
    high: Tensor
    reference: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((DIMENSIONS,), -1.0))
        self.register_buffer("high", torch.ones(DIMENSIONS))
        self.register_buffer("reference", torch.eye(3))

    def fit(self, position: Tensor, rotation: Tensor) -> None:
        """Sets the ends of the ranges from positions (N, 3) and rotations (N, 3, 3)."""
        u, _, vh = torch.linalg.svd(rotation.mean(0))
        u[:, -1] *= torch.linalg.det(u @ vh)
        self.reference.copy_(u @ vh)
        values = self.values(position, rotation, torch.zeros(len(position)))
        low, high = values.quantile(CUT, 0), values.quantile(1 - CUT, 0)
        pad = MARGIN * (high - low) + (NARROWEST - (high - low)).clamp(min=0) / 2
        low[-1], high[-1], pad[-1] = 0.0, 1.0, 0.0
        self.low.copy_(low - pad)
        self.high.copy_(high + pad)

    def values(self, position: Tensor, rotation: Tensor, is_open: Tensor) -> Tensor:
        """(..., 3), (..., 3, 3), (...) -> (..., 7)."""
        angles = euler_from_matrix(self.reference.T @ rotation)
        return torch.cat([position, angles, is_open[..., None]], -1).float()

    def pose(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inverse of `values`."""
        return values[..., :3], self.reference @ matrix_from_euler(values[..., 3:6]), values[..., 6]

    def of(self, values: Tensor) -> Tensor:
        """(..., 7) -> bins (..., 7) int64; what is out of range goes to the first or last bin."""
        share = (values - self.low) / (self.high - self.low)
        return (share * BINS).long().clamp(0, BINS - 1)

    def middle(self, bins: Tensor) -> Tensor:
        """Bins (..., 7) -> the values (..., 7) in their middles."""
        return self.low + (bins + 0.5) / BINS * (self.high - self.low)
