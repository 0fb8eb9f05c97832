"""The image encoder: a small convolutional tower with coordinate channels, 192 x 192 pixels to 16 x 16 patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Root-mean-square normalisation over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, in the same shape; the permutations cost nothing for channels-last tensors."""
        weight = self.weight.to(x.dtype)
        return F.rms_norm(x.permute(0, 2, 3, 1), x.shape[1:2], weight, 1e-5).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A residual block: x + conv(relu(conv(norm(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, channels, 3, padding=1)
        self.contract = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, C, H, W) after the block, in the same shape."""
        change: Tensor = self.contract(F.relu(self.expand(self.norm(x))))
        return x + change


class Tower(nn.Module):
    """An encoder of images (B, 3, 192, 192) in [-1, 1] to patch features (B, 256, channels[2]), row by row.

    Args:
        channels: at 64, 32 and 16 pixels per side.
        blocks: numbers of residual blocks at 32 and 16 pixels per side.
    """

    def __init__(self, channels: list[int], blocks: list[int]) -> None:
        super().__init__()
        a, b, c = channels
        self.stem = nn.Conv2d(5, a, 6, stride=3, padding=2)
        self.to_32 = nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.blocks_32 = nn.Sequential(*[Block(b) for _ in range(blocks[0])])
        self.to_16 = nn.Conv2d(b, c, 3, stride=2, padding=1)
        self.blocks_16 = nn.Sequential(*[Block(c) for _ in range(blocks[1])])
        self.norm = ChannelNorm(c)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return patch features (B, 256, C) of pixel values (B, 3, 192, 192)."""
        batch, _, height, width = pixel_values.shape
        y, x = (torch.linspace(-1, 1, n, device=pixel_values.device, dtype=pixel_values.dtype) for n in (height, width))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")).expand(batch, -1, -1, -1)
        h = torch.cat([pixel_values, grid], 1).contiguous(memory_format=torch.channels_last)
        h = F.relu(self.stem(h))
        h = self.blocks_32(F.relu(self.to_32(h)))
        features: Tensor = self.norm(self.blocks_16(F.relu(self.to_16(h))))
        return features.permute(0, 2, 3, 1).flatten(1, 2)
