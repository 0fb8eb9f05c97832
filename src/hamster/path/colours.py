"""Colours of drawn paths, over arc length in [0, 1]. RGB, uint8."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLUE = (0, 0, 255)
RED = (255, 0, 0)
GREEN = (0, 255, 0)


def jet(t: float | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (..., 3) of the jet colour map, dark blue at 0 to dark red at 1: the break points that matplotlib has."""
    red = np.interp(t, [0.35, 0.66, 0.89, 1.0], [0.0, 1.0, 1.0, 0.5])
    green = np.interp(t, [0.125, 0.375, 0.64, 0.91], [0.0, 1.0, 1.0, 0.0])
    blue = np.interp(t, [0.0, 0.11, 0.34, 0.65], [0.5, 1.0, 1.0, 0.0])
    return (np.stack([red, green, blue], -1) * 255).round().astype(np.uint8)


def reds(t: float | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (..., 3) from dark red (64, 0, 0) at 0 to bright red (255, 0, 0) at 1."""
    red = np.interp(t, [0.0, 1.0], [64.0, 255.0])
    return np.stack([red, 0 * red, 0 * red], -1).round().astype(np.uint8)
