"""Fewer waypoints, same path: Ramer-Douglas-Peucker with the segment metric, and resampling by arc length."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from simplification.cutil import simplify_coords_idx

from hamster.path.path import Path2D, arc_length

Array = NDArray[np.float64]
EPSILON = 0.05  # the paper's tolerance, relative to the image: two to five waypoints for a short task
LONGEST = 4096  # points that are simplified at once: more could exhaust the stack, and take minutes where all zigzag


def simplify(path: Path2D, epsilon: float = EPSILON) -> Path2D:
    """Drop waypoints that lie within `epsilon` of the straight line between their kept neighbours.

    Ramer-Douglas-Peucker as in HAMSTER (ICLR 2025, section 4.1), with two differences. The distance is to the segment,
    not to the infinite line, so that a path which turns back on itself keeps its turning point. And the waypoints at
    which the gripper changes are never dropped, nor are the two ends.

    Args:
        path: of N waypoints, which may contain duplicates and retraced stretches.
        epsilon: in relative image coordinates, >= 0.

    Returns:
        A subset of the waypoints, in order, with their gripper state and depth.

    Example:
        >>> path = Path2D([[0.1, 0.5], [0.3, 0.51], [0.5, 0.5], [0.5, 0.9]], [-1, -1, -1, -1])  # -1: Gripper.UNKNOWN
        >>> simplify(path).uv.tolist()
        [[0.1, 0.5], [0.5, 0.5], [0.5, 0.9]]
    """
    kept = kept_waypoints(path.uv, [i for i, _ in path.events], epsilon)
    depth_m = None if path.depth_m is None else path.depth_m[kept]
    return Path2D(path.uv[kept], path.gripper[kept], depth_m, path.score)


def kept_waypoints(uv: ArrayLike, fixed: Iterable[int] = (), epsilon: float = EPSILON) -> NDArray[np.intp]:
    """Return the sorted indices of the points (N, D) that simplification keeps, with both ends and all in `fixed`.

    So is every `LONGEST`th point.

    Args:
        uv: (N, D) points.
        fixed: indices of points that are kept in any case.
        epsilon: tolerance, in the unit of the points, >= 0.
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be >= 0, got {epsilon}")
    points = np.ascontiguousarray(uv, np.float64)
    # In the plane, Rust does in microseconds what numpy does in a tenth of a millisecond: labels are made per frame.
    corners = simplify_coords_idx if points.shape[1] == 2 else _corners
    pins = [*range(LONGEST, len(points) - 1, LONGEST), *fixed]
    if not pins:
        return np.array(corners(points, epsilon), np.intp)
    kept = [0]
    for start, end in pairwise(sorted({0, len(points) - 1, *pins})):
        kept += [start + corner for corner in corners(points[start : end + 1], epsilon)[1:]]
    return np.array(kept, np.intp)


def _corners(points: Array, epsilon: float) -> list[int]:
    """Return the indices, sorted and with both ends, that Ramer-Douglas-Peucker keeps in any dimension."""
    keep = {0, len(points) - 1}
    # A stack instead of recursion: a path may have more corners than Python has frames.
    spans = [(0, len(points) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        distance = segment_distance(points[start + 1 : end], points[start], points[end])
        farthest = int(distance.argmax())
        if distance[farthest] > epsilon:
            corner = start + 1 + farthest
            keep.add(corner)
            spans += [(start, corner), (corner, end)]
    return sorted(keep)


def segment_distance(points: ArrayLike, start: ArrayLike, end: ArrayLike) -> Array:
    """Return the distances of points (..., D) to segments from start (..., D) to end (..., D).

    Args:
        points: (..., D).
        start, end: (..., D), which broadcast with the points; a segment may have no length.
    """
    origin = np.asarray(start, np.float64)
    along = np.asarray(end, np.float64) - origin
    offset = np.asarray(points, np.float64) - origin
    length2 = (along * along).sum(-1)
    part = (offset * along).sum(-1) / np.where(length2 > 0, length2, 1)
    gap = offset - np.clip(part, 0, 1)[..., None] * along
    return np.asarray(np.sqrt((gap * gap).sum(-1)))


def resample(uv: ArrayLike, n: int) -> Array:
    """Return n points (n, D) at equal steps of arc length along a polyline (N, D), both ends included.

    Raises:
        ValueError: if there is no point, or n < 1.
    """
    points = np.asarray(uv, np.float64)
    if len(points) == 0 or n < 1:
        raise ValueError(f"need at least one point and n >= 1, got {len(points)} points and n = {n}")
    so_far = arc_length(points)
    at = np.linspace(0, so_far[-1], n)
    out = np.stack([np.interp(at, so_far, column) for column in points.T], -1)
    out[0] = points[0]
    if n > 1:
        out[-1] = points[-1]
    return out
