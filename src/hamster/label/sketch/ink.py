"""Finds ink on a photograph: flat vivid colour in lines of one width, which photographs have little of."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.thin import Mask, thin

Array = NDArray[np.float32]
WINDOW_PX = 51  # of the median that looks past the strokes: wider than two of them
_WIDEST_PX = 40.0  # of an arrow's head


@dataclass(frozen=True, eq=False)
class Ink:
    """What was drawn in one colour.

    Attributes:
        mask: (H, W) bool.
        colour: (3,) RGB, 0 to 255.
        score: how much like ink it looks, 0 to 1.
        length_px: of all its lines.
    """

    mask: Mask
    colour: NDArray[np.float32]
    score: float
    length_px: float


def find_inks(rgb: NDArray[np.uint8], behind: NDArray[np.uint8] | None = None) -> list[Ink]:
    """What may be ink in a drawing (H, W, 3), by colour, the most ink-like first; candidates may overlap.

    Args:
        rgb: the picture that was drawn on, about 640 pixels wide.
        behind: what is behind the ink (H, W, 3), as far as somebody knows; a wide median otherwise.
    """
    image = rgb.astype(np.float32)
    back = (cv2.medianBlur(rgb, WINDOW_PX) if behind is None else behind).astype(np.float32)
    inks = [_ink(image, back, colour) for colour in _colours(image, back)]
    return sorted((ink for ink in inks if ink.length_px >= 10), key=lambda ink: -ink.score)


def _colours(image: Array, back: Array) -> list[NDArray[np.float32]]:
    """The purest colour about each hue (15 degrees apart) of what stands out from its surroundings."""
    contrast = np.linalg.norm(image - back, axis=-1)
    chroma = image.max(-1) - image.min(-1)
    chosen = (contrast > 45) & (chroma > 45)
    pixels, chroma = image[chosen], chroma[chosen]
    if len(pixels) == 0:
        return []
    hues = cv2.cvtColor(pixels[None] / 255, cv2.COLOR_RGB2HSV)[0, :, 0]
    found: list[NDArray[np.float32]] = []
    for hue in range(0, 360, 15):
        near = np.abs((hues - hue + 180) % 360 - 180) < 12
        if near.sum() < 60:
            continue
        pure = near & (chroma >= np.quantile(chroma[near], 0.75))
        colour = np.median(pixels[pure], 0).astype(np.float32)
        if all(np.linalg.norm(colour - other) > 25 for other in found):
            found.append(colour)
    return found


def _ink(image: Array, back: Array, colour: NDArray[np.float32]) -> Ink:
    towards = colour - back
    size2 = (towards**2).sum(-1)
    moved = image - back
    cover = (moved * towards).sum(-1) / np.maximum(size2, 1)
    apart = np.linalg.norm(moved - cover[..., None] * towards, axis=-1)
    weak = (size2 > 50**2) & (cover > 0.45) & (cover < 1.4) & (apart < 45)
    strong = weak & (np.linalg.norm(image - colour, axis=-1) < 60)
    closed = cv2.morphologyEx(weak.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    seeds = np.bincount(labels[strong], minlength=n)
    depth = cv2.distanceTransform(np.pad(closed, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    mask = np.zeros(image.shape[:2], bool)
    length = likeness = 0.0
    for i in range(1, n):
        x, y, w, h, area = (int(v) for v in stats[i])
        if area < 12 or seeds[i] < 0.15 * area:
            continue
        box = np.s_[y : y + h, x : x + w]
        part = labels[box] == i
        if 2 * depth[box][part].max() > _WIDEST_PX:
            continue
        lines = thin(part)
        half = depth[box][lines]
        long, width = float(lines.sum()), 2 * float(np.median(half))
        if long < max(2 * width, 8):
            continue
        even = 1 / (1 + 2 * float(half.std() / half.mean()))
        flat = 1 / (1 + float(image[box][lines].std(0).mean()) / 40)
        mask[box] |= part
        length += long
        likeness += long * even * flat
    vivid = min(float(colour.max() - colour.min()) / 160, 1.0)
    return Ink(mask, colour, likeness / max(length, 1) * vivid, length)
