"""Numbers as tokens: 256 bins per dimension between quantiles of the training actions (RT-2, OpenVLA)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.rotation import euler_from_matrix, matrix_from_euler

BINS = 256
DIMENSIONS = 7  # x, y, z, three angles, gripper
# OpenVLA clips at the 1 % quantiles. Of keyposes those are the table's rim, so here it is 0.1 % and a margin.
QUANTILE, MARGIN = 0.001, 0.02
MIN_RANGE = 0.02  # metres or radians: a dimension in which nothing ever moves still needs a scale


class Bins(nn.Module):
    """Poses to bins and back. The statistics of the training data are saved with the weights.

    Angles are those of the rotation from a reference, the mean of the training data: far from where they wrap around.
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
        """Fit the ranges to positions (N, 3) and rotations (N, 3, 3)."""
        u, _, vh = torch.linalg.svd(rotation.mean(0))
        u[:, -1] *= torch.linalg.det(u @ vh)
        self.reference.copy_(u @ vh)
        values = self.values(position, rotation, torch.zeros(len(position)))
        low, high = values.quantile(QUANTILE, 0), values.quantile(1 - QUANTILE, 0)
        pad = MARGIN * (high - low) + (MIN_RANGE - (high - low)).clamp(min=0) / 2
        low[-1], high[-1], pad[-1] = 0.0, 1.0, 0.0
        self.low.copy_(low - pad)
        self.high.copy_(high + pad)

    def values(self, position: Tensor, rotation: Tensor, is_open: Tensor) -> Tensor:
        """Return poses as values (..., 7): position, angles, gripper.

        Args:
            position: (..., 3) metres.
            rotation: (..., 3, 3).
            is_open: (...) 0 or 1.
        """
        angles = euler_from_matrix(self.reference.T @ rotation)
        return torch.cat([position, angles, is_open[..., None]], -1).float()

    def pose(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return position, rotation and gripper state of values (..., 7): the inverse of `values`."""
        return values[..., :3], self.reference @ matrix_from_euler(values[..., 3:6]), values[..., 6]

    def encode(self, values: Tensor) -> Tensor:
        """Return the bins (..., 7) int64 of values (..., 7); what is out of range goes to the first or last bin."""
        fraction = (values - self.low) / (self.high - self.low)
        return (fraction * BINS).long().clamp(0, BINS - 1)

    def decode(self, bins: Tensor) -> Tensor:
        """Return the values (..., 7) in the middles of bins (..., 7)."""
        return self.low + (bins + 0.5) / BINS * (self.high - self.low)
