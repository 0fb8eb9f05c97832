"""Find one arrow in a mask of ink: its line from tail to tip, and the circles around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.circles import Circle, find_circles
from hamster.label.sketch.skeletonize import Lines, Mask, skeletonize

Array = NDArray[np.float64]
_REACH = np.ones((15, 15), np.uint8)  # how far a line goes on under ink of another colour
_MOST_INK = 0.15  # of the picture; more is no drawing
_MARGIN_PX = 16  # around a mask
_FRAYED_PX = 9  # how much wider than three lines a ring is at most where the picture frays it
_CIRCLED = 1.0  # what a circle at the other end counts, in widths squared of a head
_SHORTEST_PX = 28.0  # from tail to tip of an arrow; less is a ring or a blob
_MOSTLY = 0.8  # of the pixels of a piece
_PIVOT, _ROUND = 4.0, 0.6  # widths of the line in its radius at most, and how much of its circle it fills
_WIDE = 3.0  # radius, in widths of the line, of a circle that is nothing else
_DOT = 1.3  # radii; a triangle reaches out 1.55 times as far as the circle of its area
_DASHES = 4  # pieces at least, with the head
_MOST_PIECES = 60  # of one line; dashes are many
_AHEAD = 0.85  # cosine of the angle by which a dashed line may turn at a gap
_DOT_COUNTS = 0.3  # of an arrow's head: it is one if there is no other


@dataclass(frozen=True, eq=False)
class Arrow:
    """A drawn arrow.

    Attributes:
        px: (N, 2) from the tail to the tip, x and y.
        circles: drawn in the same colour.
        width_px: of the line.
        head: how clearly one end is the head, 0 (not at all) to 1.
        share: of the ink that arrow and circles account for.
    """

    px: Array
    circles: Sequence[Circle]
    width_px: float
    head: float
    share: float

    @property
    def circled(self) -> bool:
        """True if one of its ends is in a circle that is not a hole in an arrowhead."""
        wide = [circle for circle in self.circles if circle.radius > _WIDE * self.width_px]
        return any(bool((circle.reach(self.px[[0, -1]]) < circle.near(self.width_px)).any()) for circle in wide)


def find_arrow(mask: Mask, other: Mask) -> Arrow | None:
    """Return the longest arrow in a mask (H, W); `other` is ink of other colours, which may lie over it."""
    if not mask.any() or mask.mean() > _MOST_INK:
        return None
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    top, left = max(y - _MARGIN_PX, 0), max(x - _MARGIN_PX, 0)
    box = np.s_[top : y + h + _MARGIN_PX, left : x + w + _MARGIN_PX]
    arrow = _find(mask[box], other[box])
    if arrow is None:
        return None
    circles = [replace(circle, x=circle.x + left, y=circle.y + top) for circle in arrow.circles]
    return replace(arrow, px=arrow.px + np.array([left, top]), circles=circles)


def _find(mask: Mask, other: Mask) -> Arrow | None:
    width = line_width(mask)
    circles = find_circles(mask | (other & (cv2.dilate(mask.astype(np.uint8), _REACH) > 0)), width)
    rings, beside = np.zeros_like(mask), np.zeros_like(mask)
    for circle in circles:
        rings |= circle.ring(mask.shape, width + 3)
        beside |= circle.ring(mask.shape, 3 * width + _FRAYED_PX)
    body = _joined(mask & ~rings, rings, beside, other, width)
    if body is None:
        return None
    line = Lines(skeletonize(body)).longest()
    if len(line) < max(2 * width, 8):
        return None
    px = np.array(line, np.float64)[:, ::-1]
    pixels = np.argwhere(body)[:, ::-1].astype(np.float64)
    ends = [_head(px, pixels, width), _head(px[::-1], pixels, width)]
    circled = [any(c.reach(end[None])[0] < c.near(width) for c in circles) for end in (px[-1], px[0])]
    if circled[0] != circled[1]:  # What is circled is where one starts, unless the head says otherwise.
        ends = [(end[0] + (0.0 if at else _CIRCLED), end[1]) for end, at in zip(ends, circled, strict=True)]
    (weak, _), (strong, tipped) = sorted(ends, key=lambda end: end[0])
    if np.linalg.norm(tipped[-1] - tipped[0]) < max(3 * width, _SHORTEST_PX):
        return None
    used = body | (mask & rings) | _pivots(mask & ~body & ~rings, width)
    clear = max(0.0, (strong - weak) / (strong + weak + 0.3))
    return Arrow(tipped, circles, width, clear, float((used & mask).sum() / mask.sum()))


def _pivots(mask: Mask, width: float) -> Mask:
    """Return the pieces of a mask (H, W) that are a dot or a small ring: a pivot beside the line."""
    pivots = np.zeros(mask.shape, np.uint8)
    for outline in cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        radius = cv2.minEnclosingCircle(outline)[1]
        if 0.7 * width < radius < _PIVOT * width and cv2.contourArea(outline) > _ROUND * np.pi * radius**2:
            cv2.drawContours(pivots, [outline], -1, 1, cv2.FILLED)
    return mask & (pivots > 0)


def line_width(mask: Mask) -> float:
    """Return the usual width of the lines in a mask that is not empty, in pixels."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return float(max(2 * np.median(depth[skeletonize(mask)]) - 0.5, 1.0))


def _joined(mask: Mask, rings: Mask, beside: Mask, other: Mask, width: float) -> Mask | None:
    """Return the longest piece of the mask, and what continues it beyond something that was drawn over it.

    What lies mostly beside the rings (H, W) is what is left of them, and continues nothing.
    """
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    pieces = [i for i in range(1, n) if stats[i, cv2.CC_STAT_AREA] >= max(6, width * width / 2)]
    if not pieces:
        return None
    cover = rings | (cv2.dilate(other.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)  # inks mix where they cross
    by_rings = cv2.dilate(rings.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # what is left there is no dash
    length = np.bincount(
        labels[skeletonize(mask)], minlength=n
    )  # a blob beside the line may be larger, but is not longer
    pieces.sort(key=lambda i: (-int(length[i]), -int(stats[i, cv2.CC_STAT_AREA])))
    dashes = len(pieces) >= _DASHES
    body: Mask = labels == pieces[0]
    inside = np.bincount(labels[beside], minlength=n)
    waiting = [i for i in pieces[1:_MOST_PIECES] if inside[i] < _MOSTLY * stats[i, cv2.CC_STAT_AREA]]
    pixels = {i: _pixels_of(labels, stats[i], i) for i in waiting}
    grown = True
    while grown and waiting:
        grown = False
        gaps, here = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, 5), np.argwhere(body)
        for i in waiting:
            piece = pixels[i]
            near = piece[gaps[piece[:, 0], piece[:, 1]].argmin()].astype(np.float32)
            a = here[((here - near) ** 2).sum(1).argmin()].astype(np.float32)
            if _continues(a, near, cover, width) or (
                not by_rings[piece[:, 0], piece[:, 1]].any() and _dashed(a, near, here, piece, width, dashes)
            ):
                body[piece[:, 0], piece[:, 1]] = True
                bridge = np.zeros(mask.shape, np.uint8)
                cv2.line(bridge, (int(a[1]), int(a[0])), (int(near[1]), int(near[0])), 1, max(1, round(width)))
                body |= bridge > 0
                waiting.remove(i)
                grown = True
                break
    return body


def _pixels_of(labels: NDArray[np.int32], stats: NDArray[np.int32], label: int) -> NDArray[np.intp]:
    """Return the pixels (N, 2) of a component, looked for in its bounding box alone."""
    left, top, width, height = stats[:4].tolist()
    in_box = np.argwhere(labels[top : top + height, left : left + width] == label)
    return np.asarray(np.add(in_box, (top, left)), np.intp)


def _continues(a: NDArray[np.float32], b: NDArray[np.float32], cover: Mask, width: float) -> bool:
    gap = float(np.linalg.norm(b - a))
    if gap <= 4 + width / 2:
        return True
    if gap > 24 + 5 * width:
        return False
    ys, xs = np.linspace(a, b, int(gap) + 1)[1:-1].round().astype(int).T
    return bool(cover[ys, xs].mean() > 0.6)


def _dashed(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    body: NDArray[np.intp],
    piece: NDArray[np.intp],
    width: float,
    dashes: bool,
) -> bool:
    """Return whether a line goes on behind a gap from a to b: both sides of it point across.

    Gaps of a line that is not dashed are short: there it has the colour of what is behind it.
    """
    across = b - a
    gap = float(np.linalg.norm(across))
    if gap > (8 + 6 * width if dashes else 4 + 3 * width):
        return False
    arrow = (_heading(body, a, 3 * width + 4), _heading(piece, b, 3 * width + 4))
    sides = [side for side in arrow if side is not None]  # a filled head is no line
    near = len(sides) == 2 or (len(sides) == 1 and gap < 4 + 3 * width)
    return near and all(bool(abs(side @ across) > _AHEAD * gap) for side in sides)


def _heading(pixels: NDArray[np.intp], at: NDArray[np.float32], reach_px: float) -> Array | None:
    """Return the direction (2,) of the line that pixels (N, 2) are, near a place; None if they are no line there."""
    near = pixels[((pixels - at) ** 2).sum(1) < reach_px**2]
    if len(near) < 4:
        return None
    spread, axes = np.linalg.eigh(np.cov(near.T))
    return np.asarray(axes[:, 1]) if spread[1] > 2.5 * spread[0] else None


def _head(px: Array, pixels: Array, width: float) -> tuple[float, Array]:
    """Return how much ink is at the end of a line (N, 2) beyond it, in widths squared, and the line up to the tip."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(px, axis=0), axis=1))])
    window = min(max(8 * width, 30.0), steps[-1] / 2)
    first = int(np.searchsorted(steps, steps[-1] - 2 * window))
    before_that, px, steps = px[:first], px[first:], steps[first:]
    near = pixels[_within(pixels, px[steps >= steps[-1] - window], 4 * width + 12)]
    owner = np.add(*((near.T[:, :, None] - px.T[:, None]) ** 2)).argmin(1)
    amount = np.bincount(owner, minlength=len(px)) / np.maximum(np.gradient(steps), 0.5)
    amount = np.convolve(amount, np.ones(3) / 3, "same")
    last = steps >= steps[-1] - window
    excess = np.where(last, np.maximum(amount - 1.4 * width, 0), 0)
    thick = np.flatnonzero(last & (amount > 1.5 * width))
    evidence = float(excess.sum() / width**2)
    if len(thick) == 0:
        return evidence, np.concatenate([before_that, px])
    base = int(max(thick[0], 1))
    before = int(np.searchsorted(steps, max(steps[base] - max(10.0, 3 * width), 0.0)))
    ahead = px[base] - px[min(before, base - 1)]
    ahead = ahead / np.linalg.norm(ahead)
    offset = near[owner >= base] - px[base]
    if len(offset) == 0:
        return evidence, np.concatenate([before_that, px])
    forward = offset @ ahead
    sideways = np.abs(offset @ np.array([-ahead[1], ahead[0]]))
    if _is_dot(offset, width):
        evidence *= _DOT_COUNTS
    tip = near[owner >= base][int((forward - 0.7 * sideways).argmax())]
    return evidence, np.concatenate([before_that, px[:base], tip[None]])


def _is_dot(pixels: Array, width: float) -> bool:
    """Return whether pixels (N, 2) fill a disc wider than the line, by the radius of a circle of their area."""
    farthest = float(np.linalg.norm(pixels - pixels.mean(0), axis=1).max()) + 0.5
    radius = float(np.sqrt(len(pixels) / np.pi))
    return radius > 0.7 * width and farthest < _DOT * radius


def _within(pixels: Array, px: Array, distance: float) -> NDArray[np.bool_]:
    """Return which of the pixels lie in the box around the points, with a margin."""
    low, high = px.min(0) - distance, px.max(0) + distance
    return np.asarray(((pixels >= low) & (pixels <= high)).all(1))
