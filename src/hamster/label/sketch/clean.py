"""Recover the picture under a drawing: from other drawings of the scene, else by inpainting."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.skeletonize import Mask

Image = NDArray[np.uint8]
_BARE = 90.0  # RGB distance from every ink at which a pixel is none


def without_ink(rgb: Image, inks: Sequence[tuple[Mask, NDArray[np.float32]]], siblings: Sequence[Image]) -> Image:
    """Return the picture (H, W, 3) with its inks gone.

    Args:
        rgb: the drawing.
        inks: mask (h, w), of any size with the same sides' ratio, and colour (3,) of each.
        siblings: (H, W, 3) other drawings on the same picture.
    """
    height, width = rgb.shape[:2]
    size = max(3, round(max(rgb.shape[:2]) / 640 * 9) | 1)  # JPEG smears colour over 8 pixels
    mask = np.zeros((height, width), np.uint8)
    for ink, _ in inks:
        mask |= cv2.resize(ink.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    out = rgb.copy()
    left = mask > 0
    colours = [colour for _, colour in inks]
    for sibling in siblings:
        apart = np.min([np.linalg.norm(sibling - colour, axis=-1) for colour in colours], 0)
        near_ink = cv2.dilate((apart < _BARE).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        bare = left & ~near_ink
        out[bare] = sibling[bare]
        left &= ~bare
    return np.asarray(cv2.inpaint(out, left.astype(np.uint8), 5, cv2.INPAINT_TELEA))
