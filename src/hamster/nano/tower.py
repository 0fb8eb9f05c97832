"""The image encoder: a small convolutional tower with coordinate channels, 192 x 192 pixels to 16 x 16 patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.norms import ChannelNorm


class Block(nn.Module):
    """A residual block: x + conv(relu(conv(norm(x))))."""

    def __init__(self, channels: int, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, config)
        self.expand = nn.Conv2d(channels, channels, 3, padding=1)
        self.contract = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, C, H, W) after the block, in the same shape."""
        change: Tensor = self.contract(F.relu(self.expand(self.norm(x))))
        return x + change


class Tower(nn.Module):
    """An encoder of images (B, 3, 192, 192) in [-1, 1] to patch features (B, 256, C), row by row."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        (a, b, c), blocks = config.tower_channels, config.tower_blocks
        self.stem = nn.Conv2d(5, a, 6, stride=3, padding=2)
        self.to_32 = nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.blocks_32 = nn.Sequential(*[Block(b, config) for _ in range(blocks[0])])
        self.to_16 = nn.Conv2d(b, c, 3, stride=2, padding=1)
        self.blocks_16 = nn.Sequential(*[Block(c, config) for _ in range(blocks[1])])
        self.norm = ChannelNorm(c, config)

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
