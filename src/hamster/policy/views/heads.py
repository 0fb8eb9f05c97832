"""Rotation of the waypoint: 72 bins for each of three Euler angles in turn, or six numbers."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from hamster.policy.layers import matrix_from_six, mlp
from hamster.policy.rotation import euler_from_matrix, matrix_from_euler

BINS = 72
BIN_RAD = 2 * torch.pi / BINS
SOFT_BINS = 1.0  # standard deviation of the target over the circle of bins
JITTER_BINS = 1  # in training, angles that later ones are conditioned on are off by up to so many bins


class SixHead(nn.Module):
    """Regression of six numbers (Zhou et al., CVPR 2019)."""

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.six = mlp(n_in, n_hidden, 6)

    def compute_loss(self, features: Tensor, rotation: Tensor, generator: torch.Generator) -> Tensor:
        """Return the squared distance (B,) to rotations (B, 3, 3)."""
        return ((matrix_from_six(self.six(features).float()) - rotation) ** 2).sum((1, 2))

    def forward(self, features: Tensor) -> Tensor:
        """Return rotations (B, 3, 3)."""
        return matrix_from_six(self.six(features).float())


class EulerHead(nn.Module):
    """Classification: the angle about x, then y given x, then z given both, which keeps alternatives difference."""

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.angles = nn.ModuleList(mlp(n_in + 2 * given, n_hidden, BINS) for given in range(3))

    def compute_loss(self, features: Tensor, rotation: Tensor, generator: torch.Generator) -> Tensor:
        """Return the cross-entropy (B,) against rotations (B, 3, 3), summed over the three angles."""
        euler = euler_from_matrix(rotation)
        bins = torch.arange(BINS, device=euler.device) * BIN_RAD
        difference = torch.remainder(bins - euler[..., None] + torch.pi, 2 * torch.pi) - torch.pi
        target = (-0.5 * (difference / (SOFT_BINS * BIN_RAD)) ** 2).softmax(-1)
        jitter = torch.randint(-JITTER_BINS, JITTER_BINS + 1, euler.shape, generator=generator).to(euler.device)
        given = euler + jitter * BIN_RAD
        log_p = torch.stack([self._logits(i, features, given[:, :i]).log_softmax(-1) for i in range(3)], 1)
        return -(target * log_p).sum((1, 2))

    def forward(self, features: Tensor) -> Tensor:
        """Return rotations (B, 3, 3), each angle the mean of the bins around the most likely one."""
        given = features.new_zeros(len(features), 0, dtype=torch.float32)
        for i in range(3):
            given = torch.cat([given, _mode(self._logits(i, features, given))[:, None]], 1)
        return matrix_from_euler(given)

    def _logits(self, i: int, features: Tensor, given: Tensor) -> Tensor:
        return torch.as_tensor(self.angles[i](torch.cat([features, given.sin(), given.cos()], -1)).float())


def _mode(logits: Tensor) -> Tensor:
    """(B, BINS) -> (B,) radians."""
    best = logits.argmax(-1, keepdim=True)
    offset = torch.arange(-2, 3, device=logits.device)
    weights = logits.gather(-1, (best + offset) % BINS).softmax(-1)
    return (best[:, 0] + (weights * offset).sum(-1)) * BIN_RAD


RotationHead: TypeAlias = SixHead | EulerHead
HEADS: dict[str, type[SixHead] | type[EulerHead]] = {"euler": EulerHead, "six": SixHead}
