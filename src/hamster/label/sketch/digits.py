"""Read digits at the starts of strokes, which give the order of the strokes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.arrow import Arrow
from hamster.label.sketch.skeletonize import Mask, skeletonize

Array = NDArray[np.float64]
Box = tuple[slice, slice]
_SIDE, _TALL = 40, 28  # pixels of the canvas on which shapes are compared, and of a digit on it
_FONTS = (
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_WRITTEN = {  # as hands write them and those fonts do not
    1: [(0, 4), (3, 0), (3, 14)],
    3: [(0, 0), (8, 0), (4, 5), (8, 8), (8, 12), (4, 14), (0, 12)],
    4: [(4, 0), (0, 8), (8, 8), (7, 4), (6, 14)],
    5: [(7, 0), (1, 0), (0, 6), (5, 5), (8, 9), (5, 14), (0, 13)],
    6: [(6, 0), (1, 6), (0, 11), (4, 14), (7, 11), (5, 8), (1, 9)],
    9: [(7, 3), (4, 0), (1, 3), (3, 6), (7, 4), (7, 14)],
}
_SLANTS = (-0.25, 0.0, 0.25)
_ALIKE = 0.8  # correlation with a digit
_CLEARER = 0.05  # by how much more than with the others that are expected
_TAKEN = 0.1  # by how much less than with a digit that is not
_LEAST_PX, _MOST_PX = 9, 70  # height of a digit
_REACH_PX = 80.0  # from the start of a stroke, or from the circle around it, to the middle of its digit
_CONTRAST = 45.0  # RGB distance from what is behind


def numbered(rgb: NDArray[np.uint8], arrows: Sequence[Arrow], inks: Sequence[Mask]) -> tuple[list[int], Mask] | None:
    """Return the order of the arrows, as indices, and the pixels (H, W) of the digits that give it.

    None unless each arrow has its own of the digits 1 to n, clearly.

    Args:
        rgb: the drawing (H, W, 3), about 640 pixels wide.
        arrows: that were found in it.
        inks: (H, W) in which digits may be written; any shape that stands out from the picture may be one, too.
    """
    if len(arrows) < 2:
        return None
    candidates: list[dict[int, tuple[float, Mask]]] = [{} for _ in arrows]
    for mask, box in _shapes(rgb, arrows, inks):
        away = [_away(arrow, np.array([(s.start + s.stop) / 2 for s in reversed(box)])) for arrow in arrows]
        nearest = int(np.argmin(away))
        if away[nearest] > _REACH_PX:
            continue
        digit, likeness = read_digit(mask[box], len(arrows))
        if digit and likeness > candidates[nearest].get(digit, (0.0,))[0]:
            candidates[nearest][digit] = likeness, mask
    best = [
        max(((*by_digit[digit], digit) for digit in by_digit), key=lambda c: c[0], default=None)
        for by_digit in candidates
    ]
    turns = {candidate[2]: i for i, candidate in enumerate(best) if candidate is not None}
    if len(turns) < len(arrows):
        return None
    pixels = np.any([candidate[1] for candidate in best if candidate is not None], 0)
    return [turns[turn] for turn in sorted(turns)], np.asarray(pixels)


def read_digit(shape: Mask, most: int = 9) -> tuple[int, float]:
    """Return which digit from 1 to `most` a shape (H, W) is and its likeness (0 to 1); 0 if not clearly one."""
    digits, templates = _templates()
    alike = templates @ _normal(shape)
    best = np.array([alike[digits == digit].max() for digit in range(10)])
    *others, first = 1 + np.argsort(best[1 : most + 1])
    second = best[others[-1]] if others else 0.0
    clear = best[first] > max(_ALIKE, second + _CLEARER, best.max() - _TAKEN)
    return (int(first) if clear else 0), float(best[first])


def _away(arrow: Arrow, middle: Array) -> float:
    """Return how far, in pixels, a place is from an arrow's tail or from the outside of a circle around that."""
    tail = arrow.px[0]
    circled = [circle for circle in arrow.circles if float(circle.reach(tail)) < circle.near(arrow.width_px)]
    beside = [np.linalg.norm(middle - [circle.x, circle.y]) - max(circle.along, circle.across) for circle in circled]
    return float(min([np.linalg.norm(middle - tail), *beside]))


def _shapes(rgb: NDArray[np.uint8], arrows: Sequence[Arrow], inks: Sequence[Mask]) -> Iterator[tuple[Mask, Box]]:
    """Yield what may be a digit by its size: its pixels (H, W), and the box around them."""
    lines = np.zeros(rgb.shape[:2], np.uint8)
    for arrow in arrows:
        cv2.polylines(lines, [arrow.px.round().astype(np.int32)], False, 1, 3)
    for mask in (*inks, *_standing_out(rgb)):
        n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        drawn = set(labels[lines > 0].tolist())
        for i in range(1, n):
            x, y, w, h, area = stats[i].tolist()
            if i not in drawn and _LEAST_PX <= h <= _MOST_PX and w <= h and area >= _LEAST_PX:
                yield labels == i, (slice(y, y + h), slice(x, x + w))


def _standing_out(rgb: NDArray[np.uint8]) -> list[Mask]:
    """Return where a picture is darker, brighter, or of another colour than what is behind thin lines."""
    moved = rgb.astype(np.float32) - cv2.medianBlur(rgb, 31)
    brighter = moved.mean(-1)
    return [brighter < -_CONTRAST / 2, brighter > _CONTRAST / 2, np.linalg.norm(moved, axis=-1) > _CONTRAST]


def _normal(shape: Mask) -> Array:
    """Return a shape as a vector of mean 0 and length 1: as tall as the others, its lines as wide, its edges soft."""
    height, width = shape.shape
    size = (max(1, round(width * _TALL / height)), _TALL)
    large = cv2.resize(shape.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    left = (_SIDE - size[0]) // 2
    sides = (left, _SIDE - size[0] - left)
    canvas = np.pad(skeletonize(large).astype(np.float32), (((_SIDE - _TALL) // 2,) * 2, sides))
    soft = cv2.GaussianBlur(cv2.dilate(canvas, np.ones((3, 3), np.uint8)), (0, 0), 1.6).astype(np.float64).ravel()
    soft -= soft.mean()
    return np.asarray(soft / max(float(np.linalg.norm(soft)), 1e-9))


@lru_cache(maxsize=1)
def _templates() -> tuple[NDArray[np.int64], Array]:
    """Return (N,) digits and (N, _SIDE²) what they look like, in several fonts and slants."""
    drawn: list[tuple[int, Mask]] = []
    for slant in _SLANTS:
        drawn += [(digit, _printed(str(digit), font, slant)) for digit in range(10) for font in _FONTS]
        drawn += [(1, _printed("|", cv2.FONT_HERSHEY_SIMPLEX, slant))]
        drawn += [(digit, _slanted(_written(points), slant)) for digit, points in _WRITTEN.items()]
    return np.array([digit for digit, _ in drawn]), np.stack([_normal(shape) for _, shape in drawn])


def _printed(text: str, font: int, slant: float) -> Mask:
    canvas = np.zeros((120, 160), np.uint8)
    cv2.putText(canvas, text, (50, 90), font, 2.2, 255, 3, cv2.LINE_AA)
    return _slanted(canvas, slant)


def _written(points: Sequence[tuple[int, int]]) -> NDArray[np.uint8]:
    canvas = np.zeros((120, 160), np.uint8)
    cv2.polylines(canvas, [np.array(points, np.int32) * 4 + [60, 30]], False, 255, 3, cv2.LINE_AA)
    return canvas


def _slanted(canvas: NDArray[np.uint8], slant: float) -> Mask:
    height, width = canvas.shape
    sheared = cv2.warpAffine(canvas, np.array([[1.0, -slant, 60 * slant], [0.0, 1.0, 0.0]]), (width, height)) > 127
    x, y, w, h = cv2.boundingRect(sheared.astype(np.uint8))
    return np.asarray(sheared[y : y + h, x : x + w])
