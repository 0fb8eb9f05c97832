"""A camera's whole image at the size that the network takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.geometry import Camera
from hamster.policy.flow.config import PATCH_PX
from hamster.policy.flow.patches import nearest

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Which pixels of an image of (height, width) stand for one of S x S: rows (S, 1) and columns (S,)."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, camera: Camera, size: int) -> Pixels:
        """The nearest ones: surfaces are never mixed."""
        at = (np.arange(size) + 0.5) / size
        return cls((at * camera.height).astype(np.int64)[:, None], (at * camera.width).astype(np.int64))

    def pick(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """(H, W, ...) -> (S, S, ...)."""
        return image[self.rows, self.columns]


def tokens_world(depth_m: NDArray[np.float32], camera: Camera, pixels: Pixels) -> tuple[Array, NDArray[np.bool_]]:
    """Of each patch of a picked depth image (S, S) the nearest surface point (T, 3), and whether there is one (T,)."""
    index, on = (found.numpy() for found in nearest(torch.from_numpy(depth_m)))
    side = len(depth_m) // PATCH_PX
    patch = np.arange(side**2)
    row, column = patch // side * PATCH_PX + index // PATCH_PX, patch % side * PATCH_PX + index % PATCH_PX
    px = np.stack([pixels.columns[column], pixels.rows[row, 0]], -1) + 0.5
    return camera.unproject(px, np.where(on, depth_m[row, column], 0.0)), on


def known_depth(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same with 0 wherever nothing is known."""
    return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))
