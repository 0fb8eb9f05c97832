"""Where in a frame to look for hands: the detector shrinks what it gets to 192 pixels and misses what is small then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import MIDDLE_BASE, WRIST, Hand, HandDetector

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
SHAPE = 4 / 3  # of a region's sides, at most
LEAST_PX = 160  # no region is narrower: what is small there has no pixels to find it by
ENOUGH = 0.5  # of the pictures that have a hand in one region: no need to look closer


def regions(width: int, height: int) -> list[list[Box]]:
    """From the whole frame to ever smaller overlapping parts of it, level by level."""
    levels = [[(0, 0, width, height)]]
    if max(width, height) > 1.2 * SHAPE * min(width, height):
        side = min(width, height)
        levels.append(_tiles(width, height, min(width, round(SHAPE * side)), min(height, round(SHAPE * side))))
    if min(width, height) >= 2 * LEAST_PX:
        side = min(width, height) // 2
        levels.append(_tiles(width, height, round(SHAPE * side), side))
    return levels


def best_region(pictures: Sequence[NDArray[np.uint8]], detector: HandDetector) -> tuple[Box, float]:
    """The part of the frames in which hands are found most often, and in what share of these pictures."""
    height, width = pictures[0].shape[:2]
    best: tuple[Box, float] = ((0, 0, width, height), 0.0)
    for level in regions(width, height):
        for box in level:
            share = sum(bool(find(rgb, box, detector)) for rgb in pictures) / len(pictures)
            best = max(best, (box, share), key=lambda found: found[1])
        if best[1] >= ENOUGH:
            break
    return best


def find(rgb: NDArray[np.uint8], box: Box, detector: HandDetector) -> list[Hand]:
    """The hands in a part of an image, relative to the whole image."""
    left, top, right, bottom = box
    height, width = rgb.shape[:2]
    size, corner = np.array([right - left, bottom - top]), np.array([left, top])
    hands = detector(rgb[top:bottom, left:right])
    return [Hand((hand.uv * size + corner) / [width, height], hand.score) for hand in hands]


def near(rgb: NDArray[np.uint8], hand: Hand) -> Box:
    """The part of an image around a hand, four palms to each side of its middle."""
    size = np.array([rgb.shape[1], rgb.shape[0]])
    px = hand.uv * size
    reach = 4 * max(float(np.linalg.norm(px[MIDDLE_BASE] - px[WRIST])), 4.0)
    left, top = np.clip(px.mean(0) - reach, 0, size - 16).astype(int).tolist()
    right, bottom = np.clip(px.mean(0) + reach, [left + 16, top + 16], size).astype(int).tolist()
    return left, top, right, bottom


def _tiles(width: int, height: int, tile_width: int, tile_height: int) -> list[Box]:
    lefts, tops = _starts(width, tile_width), _starts(height, tile_height)
    return [(left, top, left + tile_width, top + tile_height) for top in tops for left in lefts]


def _starts(length: int, tile: int) -> list[int]:
    """Evenly spaced, each tile overlapping half of the next one at least."""
    count = 1 if tile >= length else 1 + -(-(length - tile) // (tile // 2))
    return [int(start) for start in np.linspace(0, length - tile, count).round()]
