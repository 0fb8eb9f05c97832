"""Running statistics of columns, with which LeRobot's policies normalise (meta/stats.json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGES_PER_EPISODE = 8
_EVERY_PX = 4  # of an image's rows and columns


class Statistics:
    """Minimum, maximum, mean and standard deviation of every number of a feature, over all frames."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = {}

    def add(self, name: str, values: NDArray[Any]) -> None:
        """Add the values (T, D) of T more frames of a feature."""
        values = np.asarray(values, np.float64)
        new = (len(values), values.sum(0), (values**2).sum(0), values.min(0), values.max(0))
        n, total, squares, low, high = self._sums.get(name, (0, 0.0 * new[1], 0.0 * new[1], new[3], new[4]))
        self._sums[name] = (
            n + new[0],
            total + new[1],
            squares + new[2],
            np.minimum(low, new[3]),
            np.maximum(high, new[4]),
        )

    def add_image(self, name: str, rgb: NDArray[np.uint8]) -> None:
        """Add an image (H, W, 3) uint8 by every few of its pixels, scaled to [0, 1], per channel."""
        self.add(name, rgb[::_EVERY_PX, ::_EVERY_PX].reshape(-1, 3) / 255.0)

    def add_depth(self, name: str, depth_m: NDArray[np.float32]) -> None:
        """Add a depth image (H, W), metres, 0 where unknown, by every few of its pixels."""
        self.add(name, depth_m[::_EVERY_PX, ::_EVERY_PX].reshape(-1, 1))

    def to_json(self, features: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the statistics as LeRobot writes them; those of images are (channels, 1, 1)."""
        return {name: self._one(name, features[name]["dtype"] in ("image", "video")) for name in self._sums}

    def _one(self, name: str, image: bool) -> dict[str, Any]:
        n, total, squares, low, high = self._sums[name]
        mean = total / n
        std = np.sqrt(np.maximum(squares / n - mean**2, 0))
        shape = (len(mean), 1, 1) if image else mean.shape
        statistics = {"min": low, "max": high, "mean": mean, "std": std}
        return {**{key: value.reshape(shape).tolist() for key, value in statistics.items()}, "count": [n]}
