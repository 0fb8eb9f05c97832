"""Judge whether a picture is good enough for a single reading: small or strongly compressed ones lose thin lines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST_PX = 480  # of the longer side, if its lines are thin, too
THIN_PX = 4.0  # a line of a small picture; a wider one is not lost
BLOCK_PX = 8  # of JPEG
BLOCKY = (
    1.5  # steps at the borders of blocks by those within: 70 photographs have at most 1.1, at quality 40 at least 1.6
)
NOISY = 4.0  # of 255, standard deviation: 70 photographs have at most 3


def flaw(rgb: NDArray[np.uint8], line_px: float) -> str:
    """Return why a picture (H, W, 3) is a poor one for lines of that width in it, in words; "" if it is not."""
    height, width = rgb.shape[:2]
    if max(height, width) < SMALLEST_PX and line_px < THIN_PX:
        return f"a small picture ({width} x {height})"
    grey = rgb.mean(-1, dtype=np.float32)
    if blockiness(grey) > BLOCKY:
        return "a strongly compressed picture"
    if noise(grey) > NOISY:
        return "a noisy picture"
    return ""


def blockiness(grey: NDArray[np.float32]) -> float:
    """Return how much larger steps of brightness are at the borders of JPEG's blocks than anywhere within.

    Each place within a block is taken for itself: steps of an image that was enlarged lie at every second one.

    Args:
        grey: (H, W) brightness, not scaled since it was compressed.
    """
    ratios = [1.0]
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        if len(steps) < 2 * BLOCK_PX:
            continue
        *within, border = (float(steps[place::BLOCK_PX].mean()) for place in range(BLOCK_PX))
        if max(within) > 0:
            ratios.append(border / max(within))
    return max(ratios)


def noise(grey: NDArray[np.float32]) -> float:
    """Return the standard deviation of the noise in an image (H, W), by the median of what no smooth surface has.

    After Immerkaer, "Fast noise variance estimation" (1996), with a median, which edges do not move.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, -1, kernel))) / 0.6745 / 6)
