"""Skeletonize masks of strokes, and trace the skeleton as a graph."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Pixel = tuple[int, int]
_AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def skeletonize(mask: Mask) -> Mask:
    """Return the mask (H, W) worn down to lines one pixel wide, connected as before.

    By Guo and Hall (CACM 1989): Zhang and Suen's better known rule wears diagonal lines away from their ends.
    """
    ys, xs = np.nonzero(mask)
    out = np.zeros_like(mask)
    if len(ys) == 0:
        return out
    box = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    padded = np.pad(mask[box], 1).astype(np.uint8)
    while _peel(padded, 0) | _peel(padded, 1):
        pass
    out[box] = padded[1:-1, 1:-1]
    return out


def _peel(padded: NDArray[np.uint8], turn: int) -> bool:
    """Do one half step, in place, and return whether it removed anything."""
    around = cv2.filter2D(padded, -1, _BITS, borderType=cv2.BORDER_CONSTANT)
    gone = cv2.bitwise_and(cv2.LUT(around, _GONE[turn]), padded)
    cv2.subtract(padded, gone, dst=padded)
    return bool(cv2.countNonZero(gone))


def _table(turn: int) -> NDArray[np.uint8]:
    """Return (256,) whether a pixel is removed in that half step, by its neighbours, one bit each as in `_AROUND`."""
    n, ne, e, se, s, sw, w, nw = (np.arange(256) >> bit & 1 == 1 for bit in range(8))
    pairs = [(n, ne, e), (e, se, s), (s, sw, w), (w, nw, n)]
    lines_here = np.sum([~a & (b | c) for a, b, c in pairs], 0)
    neighbours = np.minimum(
        np.sum([nw | n, ne | e, se | s, sw | w], 0),
        np.sum([n | ne, e | se, s | sw, w | nw], 0),
    )
    kept = (s | sw | ~nw) & w if turn == 0 else (n | ne | ~se) & e
    gone: Mask = (lines_here == 1) & (neighbours >= 2) & (neighbours <= 3) & ~kept
    return gone.astype(np.uint8)


_BITS = np.zeros((3, 3), np.float32)
for _bit, (_y, _x) in enumerate(_AROUND):
    _BITS[_y + 1, _x + 1] = 1 << _bit
_GONE = (_table(0), _table(1))


class Lines:
    """The graph of a thinned mask: its pixels, (y, x) each, and which of them touch."""

    def __init__(self, thinned: Mask) -> None:
        pixels = {(int(y), int(x)) for y, x in np.argwhere(thinned)}
        self.touching: Mapping[Pixel, Sequence[Pixel]] = {
            (y, x): [(y + dy, x + dx) for dy, dx in _AROUND if (y + dy, x + dx) in pixels] for y, x in pixels
        }

    def __len__(self) -> int:
        return len(self.touching)

    def ends(self) -> list[Pixel]:
        """Return pixels where a line ends, in reading order."""
        return sorted(pixel for pixel, others in self.touching.items() if len(others) == 1)

    def shortest(self, start: Pixel) -> tuple[dict[Pixel, float], dict[Pixel, Pixel]]:
        """Return the lengths of the ways from a pixel to all connected ones, and the last step of each."""
        length, back = {start: 0.0}, {start: start}
        queue = [(0.0, start)]
        while queue:
            so_far, here = heapq.heappop(queue)
            if so_far > length[here]:
                continue
            for there in self.touching[here]:
                step = so_far + (1.0 if here[0] == there[0] or here[1] == there[1] else 1.4142)
                if step < length.get(there, np.inf):
                    length[there], back[there] = step, here
                    heapq.heappush(queue, (step, there))
        return length, back

    def longest(self) -> list[Pixel]:
        """Return the longest of all shortest ways (exact where there is no loop); of equal ones always the same."""
        far = min(self.touching)
        for _ in range(3):  # twice is enough in a tree; loops may need once more
            length, back = self.shortest(far)
            far, before = max(length, key=lambda pixel: (length[pixel], pixel)), far
        way = [far]
        while way[-1] != before:
            way.append(back[way[-1]])
        return way
