"""A 2D path becomes 3D: each waypoint is put on the surface that the camera sees there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.policy.path_prompt import Guide, gripper_states

Array = NDArray[np.float64]


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


def lift(guide: Guide, keys: int, spaced: int) -> LiftedPath:
    """Lifts `keys` key waypoints and `spaced` evenly spaced ones."""
    path = guide.path
    chosen = key_waypoints(path, keys)
    at = np.concatenate([guide.progress[chosen], np.full(keys - len(chosen), 1.0), np.linspace(0, 1, spaced)])
    rows = guide.waypoint(at)
    rows[: len(chosen)] = chosen
    events = np.zeros(len(at))
    events[: len(chosen)] = np.isin(chosen, [i for i, _ in path.events])
    points = guide.points_world(at)
    states = gripper_states(path.gripper[rows])
    return LiftedPath(
        points_world=points,
        rays_world=guide.rays_world(points),
        features=np.concatenate([at[:, None], states, events[:, None]], -1),
        on=(np.arange(len(at)) < len(chosen)) | (np.arange(len(at)) >= keys),
    )


def key_waypoints(path: Path2D, count: int) -> NDArray[np.int64]:
    """Indices, in order, of at most `count` waypoints that matter: events, the end, then the sharpest turns."""
    last = len(path) - 1
    turns = sorted(range(1, last), key=lambda i: _straightness(path.uv[i - 1 : i + 2]))
    ranked = dict.fromkeys([*(i for i, _ in path.events), last, *turns])
    return np.array(sorted(list(ranked)[:count]), np.int64)


def _straightness(uv: Array) -> float:
    before, after = uv[1] - uv[0], uv[2] - uv[1]
    return float(before @ after / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-9))
