"""A small convolutional encoder: patches for the transformer, and image points by spatial soft-max."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.image.config import ImageConfig

STRIDE = 16
STEM_PATCH, STEM_WIDTH, MIDDLE_WIDTH = 4, 48, 96
SHARPNESS = 10.0  # of the soft-max: from the start, points stand for places rather than for the whole image
GROUPS = 8


class ImageEncoder(nn.Module):
    """Images (B, V, S, S, 3) to patches (B, V, (S / 16)², width) and points (B, V, points, 2) in [-1, 1]."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_WIDTH, STEM_PATCH, STEM_PATCH)
        self.fine = _Residual(STEM_WIDTH)
        self.points = nn.Sequential(nn.GroupNorm(GROUPS, STEM_WIDTH), nn.Conv2d(STEM_WIDTH, config.points, 1))
        self.coarse = nn.Sequential(
            nn.Conv2d(STEM_WIDTH, MIDDLE_WIDTH, 3, 2, 1),
            _Residual(MIDDLE_WIDTH),
            nn.Conv2d(MIDDLE_WIDTH, config.width, 3, 2, 1),
            _Residual(config.width),
        )

    def forward(self, rgb: Tensor, stem_addition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode images; `stem_addition` (B, STEM_WIDTH, S / 4, S / 4) is added to the first camera's first layer."""
        batch, cameras = rgb.shape[:2]
        image = (rgb.flatten(0, 1) / 255.0 - 0.5).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        maps = self.stem(image)
        if stem_addition is not None:
            maps = maps.unflatten(0, (batch, cameras))
            maps = torch.cat([maps[:, :1] + stem_addition[:, None], maps[:, 1:]], 1).flatten(0, 1)
        maps = self.fine(maps)
        points = soft_argmax(self.points(maps).float() * SHARPNESS)
        patches = self.coarse(maps).flatten(2).transpose(1, 2)
        return patches.reshape(batch, cameras, *patches.shape[1:]), points.reshape(batch, cameras, -1, 2)


def soft_argmax(maps: Tensor) -> Tensor:
    """Return the mean position (N, C, 2), u and v in [-1, 1], under the soft-max of maps (N, C, H, W).

    After Levine et al. 2016.
    """
    height, width = maps.shape[-2:]
    weights = maps.flatten(2).softmax(-1).reshape(maps.shape)
    u, v = (torch.linspace(-1, 1, n, device=maps.device) for n in (width, height))
    return torch.stack([(weights.sum(-2) * u).sum(-1), (weights.sum(-1) * v).sum(-1)], -1)


class _Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, width, H, W)."""
        return x + torch.as_tensor(self.layers(x))
