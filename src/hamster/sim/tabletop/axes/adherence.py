"""How closely the tool followed a path: distances of its track from the path, lifted to the expert's heights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import Camera
from hamster.path import Path2D

Array = NDArray[np.float64]
POINTS = 128


class Adherence(NamedTuple):
    """Distances of the tool's track (T points) from a path.

    Attributes:
        distance_m: (T,) in the world.
        distance_px: (T,) in the image.
        last: index of the point of the track that is nearest to the path's end; after it the path no longer counts.
    """

    distance_m: Array
    distance_px: Array
    last: int


def adherence(track_world: ArrayLike, path: Path2D, camera: Camera, expert_world: ArrayLike) -> Adherence:
    """Compare the tool's track with a path.

    Args:
        track_world: (T, 3) positions of the tool.
        path: on the image of the camera.
        camera: the camera.
        expert_world: (M, 3) positions of the expert's tool from the same state on, whose heights lift the path: a point
            at some share of the path's length is as high as the expert at that share of its own.
    """
    track, expert = np.asarray(track_world, np.float64), np.asarray(expert_world, np.float64)
    px = _resampled(path.uv * camera.size_px, np.linspace(0.0, 1.0, POINTS))
    heights_m = _resampled(expert[:, 2:], np.linspace(0.0, 1.0, POINTS), along=camera.project(expert)[0])
    lifted = _at_height(px, heights_m[:, 0], camera)
    apart_m = np.linalg.norm(track[:, None] - lifted, axis=-1)
    apart_px = np.linalg.norm(camera.project(track)[0][:, None] - px, axis=-1)
    return Adherence(apart_m.min(1), apart_px.min(1), int(apart_m[:, -1].argmin()))


def _resampled(values: Array, shares: Array, along: Array | None = None) -> Array:
    """Return values (N, D) at shares of the length of a polyline: their own, or that of `along` (N, 2)."""
    points = values if along is None else along
    lengths = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    if lengths[-1] == 0.0:
        return np.repeat(values[:1], len(shares), 0)
    return np.stack([np.interp(shares * lengths[-1], lengths, column) for column in values.T], -1)


def _at_height(px: Array, heights_m: Array, camera: Camera) -> Array:
    """Return the points (N, 3) in the world that are seen at pixels (N, 2) and lie at given heights (N,)."""
    origin = camera.world_from_camera[:3, 3]
    rays = camera.unproject(px, np.ones(len(px))) - origin
    return np.asarray(origin + rays * ((heights_m - origin[2]) / rays[:, 2])[:, None])
