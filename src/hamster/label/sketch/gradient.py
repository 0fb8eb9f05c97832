"""Direction of strokes by their colour gradient: blue to red as in HAMSTER's drawings, or dark to bright."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CLEAR = 0.85  # correlation of colour and arc length from which on it says something


def direction(rgb: NDArray[np.uint8], px: NDArray[np.float64]) -> float:
    """Return which way a line (N, 2) in a picture (H, W, 3) runs by its colour: 1 as given, -1 reversed, 0 unknown.

    What lies between says how clear it is.
    """
    x, y = px.round().astype(int).T
    colours = cv2.blur(rgb, (3, 3))[y, x]
    hue = cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[0, :, 0]
    brightest = cv2.dilate(rgb.max(-1), np.ones((3, 3), np.uint8))[y, x] / 255.0  # thin lines mix with what is behind
    for signal, least, sign in ((np.where(hue > 300, hue - 360, hue), 100.0, -1.0), (brightest, 0.35, 1.0)):
        low, high = np.quantile(signal, [0.1, 0.9])
        if high - low > least:
            between = np.abs(signal - (low + high) / 2) < (high - low) / 4
            smooth = between.mean() > 0.25  # two colours, one after the other, are no gradient
            return sign * float(np.corrcoef(signal, np.arange(len(signal)))[0, 1]) if smooth else 0.0
    return 0.0
