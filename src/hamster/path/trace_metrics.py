"""Trace metrics as published: RMSE, MAE, discrete Fréchet, Hausdorff, ADE and FDE, under both protocols in use.

A point sequence is an array (N, 2) of finite numbers. The two protocols share the names of their metrics, but not their
unit, resampling and treatment of answers without a path, so that numbers of one must not be compared with the other's:

- A: RoboTracer (arXiv 2512.13660, `Evaluation/` of its repository), RoboBrain. Coordinates from 0 to 1; all metrics
  between 100 points at equal arc length in pixels. A single point is a path that stays there; an answer without a path
  counts as the image's upper left corner.
- B: EmbodiedEvalKit and PhysBrainEvalKit. Coordinates from 0 to 999, errors up to 1000; RMSE and MAE after resampling
  the shorter sequence by index to the length of the longer, DFD without resampling. An answer without a path, or with a
  single point, is left out of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.path.simplify import resample

Array = NDArray[np.float64]
SAMPLES = 100
SCALE_B = 999.0
CAP_B = 1000.0
NO_PATH_A = ((0.0, 0.0),)
"""What protocol A scores in place of an answer without a path: the image's upper left corner."""


class TraceErrors(NamedTuple):
    """Distances of two point sequences, in the unit of their protocol; lower is better."""

    rmse: float
    mae: float
    dfd: float
    hd: float


WORST_A = TraceErrors(rmse=2**0.5, mae=1.0, dfd=2**0.5, hd=2**0.5)
"""The largest errors under protocol A of two paths inside the image, between opposite corners."""


def protocol_a(predicted: ArrayLike, truth: ArrayLike, size_px: tuple[int, int] = (1, 1)) -> TraceErrors:
    """Return RoboTracer's errors: coordinates in [0, 1], all metrics after resampling to 100 points by arc length.

    Args:
        predicted: (N, 2) relative to the image; `NO_PATH_A` for an answer without a path.
        truth: (M, 2) relative to the image; may lie outside of it.
        size_px: width and height of the image, in whose pixels the arc length is measured.

    Examples:
        >>> errors = protocol_a([[0.1, 0.2], [0.5, 0.2]], [[0.1, 0.5], [0.5, 0.5]])
        >>> [round(value, 3) for value in errors]
        [0.3, 0.15, 0.3, 0.3]
    """
    a, b = _resampled(predicted, truth, size_px)
    return TraceErrors(rmse(a, b), mae(a, b), discrete_frechet(a, b), hausdorff(a, b))


def protocol_b(predicted: ArrayLike, truth: ArrayLike) -> TraceErrors | None:
    """Return EmbodiedEvalKit's errors: coordinates in [0, 999], RMSE and MAE after resampling by index.

    The Hausdorff distance is no part of the published protocol; it is computed like DFD, without resampling.

    Args:
        predicted: (N, 2) relative to the image.
        truth: (M, 2) relative to the image; may lie outside of it.

    Returns:
        None where the protocol leaves an answer out of the mean: if either sequence has fewer than two points.

    Examples:
        >>> errors = protocol_b([[0.0, 0.0], [0.1, 0.0]], [[0.0, 0.1], [0.05, 0.1], [0.1, 0.1]])
        >>> [round(value, 2) for value in errors]
        [99.9, 49.95, 111.69, 111.69]
    """
    a, b = points(predicted) * SCALE_B, points(truth) * SCALE_B
    if min(len(a), len(b)) < 2:
        return None
    n = max(len(a), len(b))
    evenly_a, evenly_b = resample_by_index(a, n), resample_by_index(b, n)
    errors = (rmse(evenly_a, evenly_b), mae(evenly_a, evenly_b), discrete_frechet(a, b), hausdorff(a, b))
    return TraceErrors(*(min(error, CAP_B) for error in errors))


def displacement_errors(
    predicted: ArrayLike, truth: ArrayLike, size_px: tuple[int, int] = (1, 1)
) -> tuple[float, float]:
    """Return ADE and FDE, the average and the final displacement, relative to the image; resampled as in protocol A.

    The metrics of trajectory forecasting (Pellegrini et al., ICCV 2009), where both sequences share their times; paths
    have none, so that points at the same fraction of the arc length correspond.

    Args:
        predicted: (N, 2) relative to the image.
        truth: (M, 2) relative to the image.
        size_px: width and height of the image, in whose pixels the arc length is measured.
    """
    gaps = np.linalg.norm(np.subtract(*_resampled(predicted, truth, size_px)), axis=-1)
    return float(gaps.mean()), float(gaps[-1])


def rmse(a: ArrayLike, b: ArrayLike) -> float:
    """Return the root of the mean over all points of dx² + dy², for sequences of one length."""
    gap = _gap(a, b)
    return float(np.sqrt((gap * gap).sum(-1).mean()))


def mae(a: ArrayLike, b: ArrayLike) -> float:
    """Return the mean over all points of (|dx| + |dy|) / 2, for sequences of one length."""
    return float(np.abs(_gap(a, b)).mean())


def discrete_frechet(a: ArrayLike, b: ArrayLike) -> float:
    """Return the discrete Fréchet distance (DFD; Eiter and Mannila, 1994) of point sequences (N, 2) and (M, 2)."""
    return least_alignment(distances(a, b), np.maximum)


def hausdorff(a: ArrayLike, b: ArrayLike) -> float:
    """Return the Hausdorff distance (HD) of point sets (N, 2) and (M, 2); never more than `discrete_frechet`."""
    apart = distances(a, b)
    return float(max(apart.min(1).max(), apart.min(0).max()))


def distances(a: ArrayLike, b: ArrayLike) -> Array:
    """Return the Euclidean distances (N, M) of the points of (N, 2) and (M, 2)."""
    gap = points(a)[:, None] - points(b)[None]
    return np.asarray(np.hypot(gap[..., 0], gap[..., 1]))


def least_alignment(cost: Array, combine: Callable[[Any, Any], Any]) -> float:
    """Return the least cost of a monotone alignment from the first cell (0, 0) to the last one of cost (N, M).

    The dynamic programme runs over antidiagonals, whose cells do not depend on each other.

    Args:
        cost: (N, M) of aligning point i with point j.
        combine: how a cell's cost is joined to that of the way there: `np.maximum` for Fréchet, `np.add` for DTW.
    """
    n, m = cost.shape
    cells, stride = np.ascontiguousarray(cost).ravel(), m - 1  # from a cell to the next one of its antidiagonal
    before, last, new = np.full((3, n + 2), np.inf)  # antidiagonals, by row + 1; infinite beside their cells
    before[0] = 0.0  # the way to the first cell
    for k in range(n + m - 1):
        low, high = max(0, k - stride), min(n - 1, k)  # its first and last row
        reached = np.minimum(np.minimum(last[low + 1 : high + 2], last[low : high + 1]), before[low : high + 1])
        costs = cells[k + low * stride : k + high * stride + 1 : max(stride, 1)]
        new[low + 1 : high + 2] = combine(costs, reached)
        new[low] = new[high + 2] = np.inf
        before, last, new = last, new, before
    return float(last[n])


def resample_by_index(uv: ArrayLike, n: int) -> Array:
    """Return n points (n, 2) at equal steps of the index along a sequence (N, 2), both ends included."""
    sequence = points(uv)
    at = np.linspace(0, len(sequence) - 1, n)
    return np.stack([np.interp(at, np.arange(len(sequence)), column) for column in sequence.T], -1)


def points(uv: ArrayLike) -> Array:
    """Return a point sequence as an array (N, 2); ValueError if it has another shape, no point, or is not finite."""
    array = np.asarray(uv, np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"a point sequence is (N >= 1, 2) finite numbers, got shape {array.shape}")
    return array


def _resampled(predicted: ArrayLike, truth: ArrayLike, size_px: tuple[int, int]) -> tuple[Array, Array]:
    size = np.array(size_px, np.float64)
    a, b = (resample(points(uv) * size, SAMPLES) / size for uv in (predicted, truth))
    return a, b


def _gap(a: ArrayLike, b: ArrayLike) -> Array:
    first, second = points(a), points(b)
    if len(first) != len(second):
        raise ValueError(f"sequences of one length are compared point by point, got {len(first)} and {len(second)}")
    return first - second
