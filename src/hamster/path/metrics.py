"""Distances between two paths, in relative image coordinates; those of the published benchmarks: `trace_metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hamster.path.path import Gripper, Path2D
from hamster.path.simplify import resample
from hamster.path.trace_metrics import SAMPLES, discrete_frechet, distances, least_alignment

Array = NDArray[np.float64]


class EndpointErrors(NamedTuple):
    """Distances between the first points and between the last points of two paths."""

    start: float
    end: float


def endpoint_errors(predicted: Path2D, truth: Path2D) -> EndpointErrors:
    """Return the distances between both starts and between both ends."""
    gaps = np.linalg.norm(predicted.uv[[0, -1]] - truth.uv[[0, -1]], axis=-1)
    return EndpointErrors(float(gaps[0]), float(gaps[1]))


def frechet(a: Path2D, b: Path2D, samples: int | None = SAMPLES) -> float:
    """Return the discrete Fréchet distance (Eiter and Mannila, 1994) of two paths, relative to the image.

    Both paths are first resampled by arc length to `samples` points, so that the number of waypoints does not matter;
    None compares the waypoints as they are.

    Args:
        a, b: the paths.
        samples: points to which both are resampled; None compares the waypoints.

    Example:
        >>> a = Path2D([[0.1, 0.5], [0.9, 0.5]], [Gripper.UNKNOWN] * 2)
        >>> b = Path2D([[0.1, 0.6], [0.9, 0.6]], [Gripper.UNKNOWN] * 2)
        >>> round(frechet(a, b), 3)
        0.1
    """
    return discrete_frechet(_waypoints(a, samples), _waypoints(b, samples))


def dtw(a: Path2D, b: Path2D, samples: int | None = SAMPLES) -> float:
    """Return the dynamic time warping distance: the least sum over all alignments, per point of the longer path.

    It is thus a distance per sample, and comparable with `frechet`, which it does not exceed by more than twice.

    Args:
        a, b: the paths.
        samples: points to which both are resampled; None compares the waypoints.
    """
    apart = distances(_waypoints(a, samples), _waypoints(b, samples))
    return least_alignment(apart, np.add) / float(max(apart.shape))


def event_f1(predicted: Path2D, truth: Path2D, tolerance: float = 0.1) -> float:
    """Return the F1 score of the gripper events; one counts if the same event occurs within `tolerance`, in order.

    1.0 if neither path has any event.

    Args:
        predicted, truth: the paths.
        tolerance: largest distance of matching events, in relative image coordinates.
    """
    ours, theirs = _commanded(predicted), _commanded(truth)
    if not ours and not theirs:
        return 1.0
    return 2 * _matches(ours, theirs, tolerance) / (len(ours) + len(theirs))


def path_errors(predicted: Path2D, truth: Path2D) -> dict[str, float]:
    """Return `start`, `end`, `frechet` and `event_f1` of a path, rounded to four decimals."""
    start, end = endpoint_errors(predicted, truth)
    by_name = {
        "start": start,
        "end": end,
        "frechet": frechet(predicted, truth),
        "event_f1": event_f1(predicted, truth),
    }
    return {name: round(value, 4) for name, value in by_name.items()}


def medians(errors: Sequence[dict[str, float] | None]) -> dict[str, float]:
    """Return the medians of `path_errors` (the mean of the F1), n, and the parse rate: the share that is not None."""
    read = [error for error in errors if error is not None]
    values = {name: median(error[name] for error in read) for name in ("start", "end", "frechet") if read}
    f1 = {"event_f1": mean(error["event_f1"] for error in read)} if read else {}
    rate = len(read) / max(1, len(errors))
    return {"n": len(errors), "parse_rate": rate, **{name: round(value, 4) for name, value in (values | f1).items()}}


def _waypoints(path: Path2D, samples: int | None) -> Array:
    return path.uv if samples is None else resample(path.uv, samples)


def _commanded(path: Path2D) -> list[tuple[Array, Gripper]]:
    return [(path.uv[i], state) for i, state in path.events if state is not Gripper.UNKNOWN]


def _matches(a: list[tuple[Array, Gripper]], b: list[tuple[Array, Gripper]], tolerance: float) -> int:
    """Return the length of the longest common subsequence; two events match if equal in state and close."""
    best = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, (uv_a, state_a) in enumerate(a):
        for j, (uv_b, state_b) in enumerate(b):
            same = state_a is state_b and float(np.linalg.norm(uv_a - uv_b)) <= tolerance
            best[i + 1, j + 1] = max(best[i, j] + same, best[i, j + 1], best[i + 1, j])
    return int(best[-1, -1])
