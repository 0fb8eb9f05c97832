"""Which pixels of a camera's image stand for the small images that the network sees: picked, never interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera, apply, inverse
from hamster.policy.flow.config import FlowConfig

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Pixels of a camera's image that stand for G images of S x S.

    Attributes:
        rows: (G, S, 1) and columns: (G, 1, S).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def pick(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return (G, S, S, ...) of an image (H, W, ...)."""
        return image[self.rows, self.columns]

    def px(self) -> Array:
        """Return the centres (G, S, S, 2) of the pixels."""
        return np.stack(np.broadcast_arrays(self.columns, self.rows), -1) + 0.5


def crop_pixels(camera: Camera, targets: Array, config: FlowConfig) -> PixelGrid:
    """Return the pixels of the crop of the whole image, and of those around points (N, 3) in the world."""
    centres_uv = np.concatenate([[[0.5, 0.5]], _visible_uv(targets, camera)])
    widths = np.array([1.0] + [config.fovea_width] * len(targets))
    return crop_windows(camera, centres_uv, widths, config.crop_px)


def crop_windows(camera: Camera, centres_uv: Array, widths: Array, size: int) -> PixelGrid:
    """Return the pixels of square windows.

    Args:
        camera: whose image it is.
        centres_uv: (G, 2) relative image points; windows that stick out are shifted inside.
        widths: (G,) parts of the image that the windows cover.
        size: side of a crop in pixels.
    """
    half = widths[:, None] / 2
    centres = np.clip(centres_uv, half, 1 - half)
    uv = centres[:, None] + ((np.arange(size) + 0.5) / size - 0.5)[None, :, None] * widths[:, None, None]
    columns = np.clip((uv[..., 0] * camera.width).astype(int), 0, camera.width - 1)
    rows = np.clip((uv[..., 1] * camera.height).astype(int), 0, camera.height - 1)
    return PixelGrid(rows[:, :, None], columns[:, None, :])


def whole_image(camera: Camera, size: int) -> PixelGrid:
    """Return the pixels of one image of S x S that covers all of the camera's."""
    at = (np.arange(size) + 0.5) / size
    rows, columns = (at * camera.height).astype(np.int64), (at * camera.width).astype(np.int64)
    return PixelGrid(rows[None, :, None], columns[None, None, :])


def _visible_uv(points_world: Array, camera: Camera) -> Array:
    """Return relative image points (N, 2) of points (N, 3): the image's centre for those behind the camera."""
    depth_m = apply(inverse(camera.world_from_camera), points_world)[:, 2]
    px, _ = camera.project(points_world)
    uv = np.where(depth_m[:, None] > 1e-3, px / camera.size_px, 0.5)
    return np.asarray(uv.clip(0, 1))
