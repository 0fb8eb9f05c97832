"""Glimpses: small square windows of an RGB-D view, one over the whole image and some, foveas, at full resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Glimpses:
    """G windows of S x S pixels.

    Attributes:
        rgb: (G, S, S, 3) uint8.
        points_world: (G, S, S, 3) metres, what each pixel sees; the centre of the camera where depth is unknown.
        depth_m: (G, S, S) along the optical axis, 0 where unknown.
        channels: (G, S, S, C) of whatever is known per pixel.
    """

    rgb: NDArray[np.uint8]
    points_world: Array
    depth_m: Array
    channels: NDArray[np.float32]


def look(
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    camera: Camera,
    channels: NDArray[np.float32],
    centres_uv: Array,
    widths: Array,
    size: int,
) -> Glimpses:
    """Cuts windows out of an image by picking nearest pixels: surfaces are never mixed.

    Args:
        rgb, depth_m, channels: (H, W, 3), (H, W) and (H, W, C), of this camera.
        centres_uv: (G, 2) relative image points; windows that stick out are shifted inside.
        widths: (G,) parts of the image that the windows cover.
        size: S.
    """
    half = widths[:, None] / 2
    centres = np.clip(centres_uv, half, 1 - half)
    grid = centres[:, None] + ((np.arange(size) + 0.5) / size - 0.5)[None, :, None] * widths[:, None, None]
    column = np.clip((grid[..., 0] * camera.width).astype(int), 0, camera.width - 1)
    row = np.clip((grid[..., 1] * camera.height).astype(int), 0, camera.height - 1)
    index = (row[:, :, None], column[:, None, :])
    depth = depth_m[index].astype(np.float64)
    depth = np.where(depth > 0, depth, 0.0)  # NaN too
    px = np.stack(np.broadcast_arrays(column[:, None, :], row[:, :, None]), -1) + 0.5
    return Glimpses(rgb[index], camera.unproject(px, depth), depth, channels[index])
