"""Augmentations of image and path under which the instruction stays true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

MARGIN = 0.015  # waypoints stay this far inside the image


@dataclass(frozen=True)
class Augmentation:
    """Strengths of all augmentations; zero switches one off.

    Attributes:
        zoom: largest relative change of scale.
        shift: largest translation, as a share of the image's side.
        aspect: largest relative change of aspect ratio.
        flip: probability of a mirror image; words for left and right are swapped with it.
        brightness, contrast, saturation, tint: largest relative change.
        noise: largest standard deviation of pixel noise, for pixels in [0, 1].
        blur: probability of a slight blur.
        cutout: probability that a rectangle of background is painted over.
        untouched: probability that the crop, and independently the colours, of an image stay as they are.
    """

    zoom: float = 0.2
    shift: float = 0.1
    aspect: float = 0.1
    flip: float = 0.4
    brightness: float = 0.25
    contrast: float = 0.3
    saturation: float = 0.3
    tint: float = 0.08
    noise: float = 0.05
    blur: float = 0.2
    cutout: float = 0.3
    untouched: float = 0.15


NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)


def frame(
    low: NDArray[np.float64], high: NDArray[np.float64], config: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a random crop of each image that keeps its waypoints inside.

    Args:
        low, high: (B, 2) corners of the bounding box of each image's waypoints, in [0, 1].
        config: strengths.
        rng: random generator.

    Returns:
        scale, shift: (B, 2) each; old uv = new uv * scale + shift.
    """
    batch = len(low)
    scale = 1 + config.zoom * rng.uniform(-1, 1, (batch, 1)) + config.aspect * rng.uniform(-0.5, 0.5, (batch, 2))
    scale = np.maximum(scale, (high - low) / (1 - 2 * MARGIN))
    least = np.maximum(high - (1 - MARGIN) * scale, np.minimum(0, 1 - scale) - config.shift)
    most = np.minimum(low - MARGIN * scale, np.maximum(0, 1 - scale) + config.shift)
    shift = rng.uniform(np.minimum(least, most), np.maximum(least, most))
    same = (least > most).any(1) | (rng.random(batch) < config.untouched)
    return np.where(same[:, None], 1.0, scale), np.where(same[:, None], 0.0, shift)


def cut(rgb: Tensor, segmentation: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Resample images and masks into the crops of `frame`.

    Args:
        rgb: (B, 3, H, W) float.
        segmentation: (B, H, W) uint8 object numbers.
        scale, shift: (B, 2), see `frame`.

    Returns:
        Images (B, 3, H, W), and masks (B, H, W) with 255 outside of the original image.
    """
    height, width = rgb.shape[-2:]
    y, x = ((torch.arange(n, device=rgb.device) + 0.5) / n for n in (height, width))
    u = x[None] * scale[:, :1] + shift[:, :1]
    v = y[None] * scale[:, 1:] + shift[:, 1:]
    grid = torch.stack([u[:, None].expand(-1, height, -1), v[:, :, None].expand(-1, -1, width)], -1) * 2 - 1
    moved = F.grid_sample(rgb, grid, mode="bilinear", padding_mode="border", align_corners=False)
    column, row = ((a * n).floor().long() for a, n in ((u, width), (v, height)))
    inside = ((column >= 0) & (column < width))[:, None] & ((row >= 0) & (row < height))[:, :, None]
    index = torch.arange(len(rgb), device=rgb.device)[:, None, None]
    mask = segmentation[index, row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None]]
    return moved, torch.where(inside, mask, 255).to(torch.uint8)


def colours(rgb: Tensor, config: Augmentation, rng: np.random.Generator) -> Tensor:
    """Change brightness, contrast, saturation, tint, sharpness and noise.

    Args:
        rgb: (B, 3, H, W) in [0, 1].
        config: strengths.
        rng: random generator.
    """
    batch = len(rgb)
    on = rng.random((batch, 1, 1, 1)) >= config.untouched

    def draw(strength: float, channels: int = 1) -> Tensor:
        values = on * rng.uniform(-strength, strength, (batch, channels, 1, 1))
        return torch.from_numpy(values.astype(np.float32)).to(rgb.device)

    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = (rgb - mean) * (1 + draw(config.contrast)) + mean * (1 + draw(config.brightness))
    grey = rgb.mean(1, keepdim=True)
    rgb = (grey + (rgb - grey) * (1 + draw(config.saturation))) * (1 + draw(config.tint, 3))
    soft = torch.from_numpy(on.ravel() & (rng.random(batch) < config.blur)).to(rgb.device)
    if bool(soft.any()):
        rgb = torch.where(soft[:, None, None, None], F.avg_pool2d(rgb, 3, 1, 1, count_include_pad=False), rgb)
    if config.noise:
        random = torch.Generator(rgb.device).manual_seed(int(rng.integers(2**62)))
        rgb = rgb + torch.randn(rgb.shape, generator=random, device=rgb.device) * draw(config.noise).abs()
    return rgb.clamp(0, 1)


def cut_out(
    rgb: Tensor, segmentation: Tensor, tip: NDArray[np.float64], config: Augmentation, rng: np.random.Generator
) -> Tensor:
    """Paint a rectangle of background in a random colour, with probability `config.cutout` and away from the gripper.

    Args:
        rgb: (B, 3, H, W) in [0, 1], changed in place.
        segmentation: (B, H, W) uint8, 255 for background.
        tip: (B, 2) uv of the gripper, in [0, 1].
        config: the probability.
        rng: random generator.
    """
    height, width = rgb.shape[-2:]
    for i in np.flatnonzero(rng.random(len(rgb)) < config.cutout):
        low, size = rng.uniform(0, 0.8, 2), rng.uniform(0.1, 0.35, 2)
        near = (tip[i] > low - 0.2) & (tip[i] < low + size + 0.2)
        if near.all():
            continue
        x, y = (int(a * n) for a, n in zip(low, (width, height), strict=True))
        area = np.s_[y : y + int(size[1] * height), x : x + int(size[0] * width)]
        paint = torch.from_numpy(rng.random((3, 1, 1)).astype(np.float32)).to(rgb.device)
        free = segmentation[i][area] == 255
        rgb[i][:, *area] = torch.where(free, paint, rgb[i][:, *area])
    return rgb
