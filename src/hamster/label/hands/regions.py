"""Regions in which to detect hands: the detector scales its input to 192 pixels and misses small hands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import Hand, HandDetector

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
SHAPE = 4 / 3  # of a region's sides, at most
LEAST_PX = 160  # no region is narrower: what is small there has no pixels to find it by
ENOUGH = 0.5  # of the pictures that have a hand in one region: no need to look closer
FLAT = 3.0  # of 255: a bar between two pictures has one colour from end to end, but for the noise of compression
PANEL = 0.25  # of a side: no picture of several in one frame is narrower


def panels(pictures: Sequence[NDArray[np.uint8]]) -> list[Box]:
    """Return the pictures of a video that shows several beside or above each other, with plain bars in between."""
    frame = np.stack(pictures).astype(np.float32)
    columns = _runs(frame.std(axis=1).max(axis=(0, 2)))
    return [
        (left, top, right, bottom)
        for left, right in columns
        for top, bottom in _runs(frame[:, :, left:right].std(axis=2).max(axis=(0, 2)))
    ]


def regions(width: int, height: int) -> list[list[Box]]:
    """Return the whole frame, then ever smaller overlapping parts of it, level by level."""
    levels = [[(0, 0, width, height)]]
    if max(width, height) > 1.2 * SHAPE * min(width, height):
        side = min(width, height)
        levels.append(_tiles(width, height, min(width, round(SHAPE * side)), min(height, round(SHAPE * side))))
    if min(width, height) >= 2 * LEAST_PX:
        side = min(width, height) // 2
        levels.append(_tiles(width, height, round(SHAPE * side), side))
    return levels


def best_region(pictures: Sequence[NDArray[np.uint8]], detector: HandDetector) -> tuple[Box, float]:
    """Return the part of the frames in which hands are found most often, and in what share of these pictures."""
    height, width = pictures[0].shape[:2]
    best: tuple[Box, float] = ((0, 0, width, height), 0.0)
    for depth, level in enumerate(_levels(panels(pictures))):
        some = pictures[:: 1 if depth == 0 else 2]  # there are many parts
        for box in level:
            share = sum(bool(find(rgb, box, detector)) for rgb in some) / len(some)
            best = max(best, (box, share), key=lambda candidate: candidate[1])
        if best[1] >= ENOUGH:
            break
    return best


def _levels(parts: list[Box]) -> Iterator[list[Box]]:
    """Yield the levels of all parts."""
    below = [regions(right - left, bottom - top) for left, top, right, bottom in parts]
    for boxes in zip_longest(*below, fillvalue=()):
        yield [
            (left + x, top + y, right + x, bottom + y)
            for (x, y, _, _), level in zip(parts, boxes, strict=True)
            for left, top, right, bottom in level
        ]


def _runs(spread: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return stretches [start, end) without a flat line; all as one if there is none that is long enough."""
    lines = spread > FLAT
    edges = np.flatnonzero(np.diff(np.r_[False, lines, False])).reshape(-1, 2)
    runs = [(start, end) for start, end in edges.tolist() if end - start >= PANEL * len(lines)]
    return runs or [(0, len(lines))]


def find(rgb: NDArray[np.uint8], box: Box, detector: HandDetector) -> list[Hand]:
    """Return the hands in a part of an image, relative to the whole image.

    Args:
        rgb: (H, W, 3) uint8.
        box: left, top, right, bottom of the part, pixels.
        detector: of hands.
    """
    left, top, right, bottom = box
    height, width = rgb.shape[:2]
    size, corner = np.array([right - left, bottom - top]), np.array([left, top])
    hands = detector(rgb[top:bottom, left:right])
    return [Hand((hand.uv * size + corner) / [width, height], hand.score) for hand in hands]


def _tiles(width: int, height: int, tile_width: int, tile_height: int) -> list[Box]:
    lefts, tops = _starts(width, tile_width), _starts(height, tile_height)
    return [(left, top, left + tile_width, top + tile_height) for top in tops for left in lefts]


def _starts(length: int, tile: int) -> list[int]:
    """Return evenly spaced starts of tiles, each of which overlaps at least half of the next one."""
    count = 1 if tile >= length else 1 + -(-(length - tile) // (tile // 2))
    return [int(start) for start in np.linspace(0, length - tile, count).round()]
