"""A 2D path becomes 3D: each waypoint is put on the surface that the camera sees there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera
from hamster.path import Gripper, Path

Array = NDArray[np.float64]
WINDOW = 0.02  # of the image's width: the surface is the median over a square of this size


@dataclass(frozen=True, eq=False)
class LiftedPath:
    """Waypoints on the surfaces behind them. The first `keys` of the P rows are key waypoints, the rest evenly spaced.

    Attributes:
        points_world: (P, 3) metres.
        rays_world: (P, 3) unit vectors from the camera to them.
        features: (P, 5): progress in [0, 1], gripper unknown / closed / open from here on, event here.
        on: (P,) False in the rows of key waypoints that the path does not have.
    """

    points_world: Array
    rays_world: Array
    features: Array
    on: NDArray[np.bool_]


def lift(path: Path, depth_m: NDArray[np.float32], camera: Camera, keys: int, spaced: int) -> LiftedPath:
    """Lifts `keys` key waypoints and `spaced` evenly spaced ones.

    Args:
        path: on the image of this camera.
        depth_m: (H, W) along the optical axis; 0 or NaN where unknown.
    """
    progress = _progress(path.uv)
    chosen = key_waypoints(path, keys)
    at = np.concatenate([progress[chosen], np.full(keys - len(chosen), 1.0), np.linspace(0, 1, spaced)])
    uv = np.stack([np.interp(at, progress, path.uv[:, i]) for i in range(2)], -1)
    rows = np.searchsorted(progress, at, side="right") - 1
    rows[: len(chosen)] = chosen
    events = np.zeros(len(at))
    events[: len(chosen)] = np.isin(chosen, [i for i, _ in path.events])
    points = camera.unproject(uv * camera.size_px, surface_depth(uv, depth_m))
    rays = points - camera.world_from_camera[:3, 3]
    states = path.gripper[rows][:, None] == np.array([Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN])
    return LiftedPath(
        points_world=points,
        rays_world=rays / np.linalg.norm(rays, axis=-1, keepdims=True),
        features=np.concatenate([at[:, None], states, events[:, None]], -1),
        on=(np.arange(len(at)) < len(chosen)) | (np.arange(len(at)) >= keys),
    )


def key_waypoints(path: Path, count: int) -> NDArray[np.int64]:
    """Indices, in order, of at most `count` waypoints that matter: events, the end, then the sharpest turns."""
    last = len(path) - 1
    turns = sorted(range(1, last), key=lambda i: _straightness(path.uv[i - 1 : i + 2]))
    ranked = dict.fromkeys([*(i for i, _ in path.events), last, *turns])
    return np.array(sorted(list(ranked)[:count]), np.int64)


def surface_depth(uv: Array, depth_m: NDArray[np.float32]) -> Array:
    """(N,) depth of the surface at relative image points (N, 2): the lower median of the known depths around each.

    Where nothing is known around a point, the median of the whole image stands in.
    """
    height, width = depth_m.shape
    reach = max(1, round(WINDOW * width / 2))
    offset = np.arange(-reach, reach + 1)
    column = (np.clip((uv[:, 0] * width).astype(int), 0, width - 1)[:, None] + offset).clip(0, width - 1)
    row = (np.clip((uv[:, 1] * height).astype(int), 0, height - 1)[:, None] + offset).clip(0, height - 1)
    window = depth_m[row[:, :, None], column[:, None, :]].reshape(len(uv), -1).astype(np.float64)
    window = np.sort(np.where(window > 0, window, np.inf), -1)
    known = np.isfinite(window).sum(-1)
    depth = np.take_along_axis(window, ((known - 1) // 2).clip(0)[:, None], -1)[:, 0]
    if (known == 0).any():
        everything = depth_m[depth_m > 0]
        depth = np.where(known > 0, depth, np.median(everything) if len(everything) else 1.0)
    return depth


def _progress(uv: Array) -> Array:
    """(N,) in [0, 1], strictly increasing even where a path stands still."""
    lengths = np.linalg.norm(np.diff(uv, axis=0), axis=-1) + 1e-6
    total = np.concatenate([[0.0], np.cumsum(lengths)])
    return total / total[-1] if len(uv) > 1 else np.zeros(1)


def _straightness(uv: Array) -> float:
    before, after = uv[1] - uv[0], uv[2] - uv[1]
    return float(before @ after / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-9))
