"""Find circles in a mask of ink, which mark grasped objects."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.skeletonize import Mask

SMALLEST_HOLE_PX = 10  # in area
_MOST_HOLES = 8
_OPEN = 1.4  # radius of the smallest circle, in widths of its line; less is a gap in a bold line, or a blob


@dataclass(frozen=True)
class Circle:
    """An ellipse in pixels: centre, half axes along and across, angle of the first from x towards y."""

    x: float
    y: float
    along: float
    across: float
    angle_rad: float

    @property
    def radius(self) -> float:
        """The radius of the circle with the same area."""
        return float(np.sqrt(self.along * self.across))

    def reach(self, px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (...,) how far out points (..., 2) are: 0 at the centre, 1 on the line."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        offset = px - [self.x, self.y]
        a = (offset @ [cos, sin]) / self.along
        b = (offset @ [-sin, cos]) / self.across
        return np.asarray(np.hypot(a, b))

    def near(self, width_px: float) -> float:
        """Return the reach up to which an end of a line of that width counts as circled."""
        return 1.25 + 2 * width_px / self.radius

    def ring(self, shape: tuple[int, ...], width_px: float) -> Mask:
        """Return (H, W) the line itself, as wide as said."""
        canvas = np.zeros(shape[:2], np.uint8)
        centre, axes = (round(self.x * 8), round(self.y * 8)), (round(self.along * 8), round(self.across * 8))
        thickness = max(1, round(width_px))
        cv2.ellipse(canvas, centre, axes, np.degrees(self.angle_rad), 0, 360, 1, thickness, cv2.LINE_8, 3)
        return canvas > 0


def find_circles(mask: Mask, width_px: float) -> list[Circle]:
    """Return the ellipses that the mask (H, W) draws with lines of a width, the largest first.

    A ring shows by the hole in it. An arrow that starts inside dents the hole, which its convex hull evens out; one
    that crosses it cuts the hole in two, which is why pairs of holes are tried, too.
    """
    rated = [fit for reach in (0, 2) for fit in _round_holes(mask, width_px, reach)]
    return _apart(
        [circle for _, circle in sorted(rated, key=lambda pair: -pair[0]) if circle.radius > _OPEN * width_px]
    )


def _round_holes(mask: Mask, width_px: float, reach_px: int) -> list[tuple[float, Circle]]:
    """Return the circles, once gaps up to twice the reach in the lines are closed, and how certain they are."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)) > 0
    n, labels, stats, _ = cv2.connectedComponentsWithStats((~np.pad(wide, 1)).astype(np.uint8), connectivity=4)
    outside = labels[0, 0]
    holes = [i for i in range(1, n) if i != outside and stats[i, cv2.CC_STAT_AREA] >= SMALLEST_HOLE_PX]
    holes = sorted(holes, key=lambda i: -stats[i, cv2.CC_STAT_AREA])[:_MOST_HOLES]
    points = {i: np.argwhere(labels == i)[:, ::-1].astype(np.float32) - 1 for i in holes}
    groups = [*combinations(holes, 2), *((i,) for i in holes)]
    fits = [_ellipse(np.concatenate([points[i] for i in g]), mask, width_px / 2 + reach_px) for g in groups]
    return [fit for fit in fits if fit is not None]


def _ellipse(inside: NDArray[np.float32], mask: Mask, margin_px: float) -> tuple[float, Circle] | None:
    """Return the ellipse around points (N, 2), its line a margin away, and how certain it is; None if there is none."""
    hull = cv2.convexHull(inside)[:, 0]
    low = np.floor(hull.min(0)).astype(int)
    high = np.ceil(hull.max(0)).astype(int) + 1
    canvas = np.zeros((high - low)[::-1], np.uint8)
    cv2.fillConvexPoly(canvas, (hull - low).round().astype(np.int32), 1)
    filled = np.argwhere(canvas)[:, ::-1] + low
    if len(filled) < SMALLEST_HOLE_PX or len(inside) < 0.6 * len(filled):
        return None
    spread, axes = np.linalg.eigh(np.cov(filled.T) + np.eye(2) / 12)
    across, along = 2 * np.sqrt(spread)
    if across < 0.25 * along:
        return None
    x, y = filled.mean(0)
    inner = Circle(float(x), float(y), float(along), float(across), float(np.arctan2(axes[1, 1], axes[0, 1])))
    common = (inner.reach(filled.astype(np.float64)) <= 1).sum()
    if common < 0.88 * max(len(filled), np.pi * along * across):
        return None
    circle = Circle(inner.x, inner.y, inner.along + margin_px, inner.across + margin_px, inner.angle_rad)
    line = circle.ring(mask.shape, 1)
    support = float(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))[line].mean())
    return (support * np.sqrt(len(filled)), circle) if support > 0.8 else None


def _apart(circles: list[Circle]) -> list[Circle]:
    """Return the circles without those that are part of an earlier one."""
    kept: list[Circle] = []
    for circle in circles:
        if all(float(other.reach(np.array([circle.x, circle.y]))) > 0.8 for other in kept):
            kept.append(circle)
    return kept
