"""The 2D path, the only interface between planner and policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Gripper(IntEnum):
    """State of the gripper that is commanded from a waypoint on."""

    UNKNOWN = -1
    CLOSED = 0
    OPEN = 1


@dataclass(frozen=True, eq=False)
class Path2D:
    """A 2D path of the end effector on an image, with gripper events (HAMSTER, ICLR 2025, section 4.1).

    Attributes:
        uv: (N, 2) float64 in [0, 1], relative to the image; x to the right, y down. N >= 1.
        gripper: (N,) int8 of `Gripper`: the state commanded from that waypoint on. An event belongs to the
            waypoint that precedes it; the state is unknown before the first event.
        depth_m: (N,) float64, metres along the camera's optical axis, or None where unknown.
        score: the planner's confidence, in [0, 1], or None.
        height_m: (N,) float64, metres above the table, which is the plane z = 0 of the world, or None where unknown.
            With a calibrated camera it stands for a depth.

    Raises:
        ValueError: if a shape is wrong, a coordinate is not in [0, 1], or a value is not finite.

    Example:
        >>> path = Path2D([[0.2, 0.7], [0.5, 0.4]], [Gripper.CLOSED, Gripper.OPEN])
        >>> path.events
        [(0, <Gripper.CLOSED: 0>), (1, <Gripper.OPEN: 1>)]
        >>> Path2D.from_json(path.to_json()) == path
        True
    """

    uv: NDArray[np.float64]
    gripper: NDArray[np.int8]
    depth_m: NDArray[np.float64] | None = None
    score: float | None = None
    height_m: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        uv = _frozen(self.uv, np.float64)
        gripper = _frozen(self.gripper, np.int8)
        depth_m = None if self.depth_m is None else _frozen(self.depth_m, np.float64)
        height_m = None if self.height_m is None else _frozen(self.height_m, np.float64)
        _check(uv, gripper, depth_m, self.score, height_m)
        object.__setattr__(self, "uv", uv)
        object.__setattr__(self, "gripper", gripper)
        object.__setattr__(self, "depth_m", depth_m)
        object.__setattr__(self, "height_m", height_m)

    def __len__(self) -> int:
        return len(self.uv)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path2D):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def events(self) -> list[tuple[int, Gripper]]:
        """Pairs (waypoint, new state), one for each change of the commanded gripper state."""
        before = np.concatenate([[Gripper.UNKNOWN], self.gripper[:-1]])
        return [(int(i), Gripper(int(self.gripper[i]))) for i in np.flatnonzero(self.gripper != before)]

    def to_json(self) -> dict[str, Any]:
        """Return the record that `path.json` holds: plain lists, the gripper by name; heights only where known."""
        height_m = {} if self.height_m is None else {"height_m": self.height_m.tolist()}
        return {
            "uv": self.uv.tolist(),
            "gripper": [Gripper(int(g)).name.lower() for g in self.gripper],
            "depth_m": None if self.depth_m is None else self.depth_m.tolist(),
            "score": self.score,
            **height_m,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Path2D:
        """Return the path of a record that `to_json` made; ValueError for anything else."""
        try:
            gripper = np.array([Gripper[str(name).upper()] for name in record["gripper"]], np.int8)
            uv = np.asarray(record["uv"], np.float64)
            depth_m, height_m = (
                None if record.get(name) is None else np.asarray(record[name], np.float64)
                for name in ("depth_m", "height_m")
            )
            return cls(uv, gripper, depth_m, record.get("score"), height_m)
        except (KeyError, TypeError, AttributeError) as error:
            names = ", ".join(g.name.lower() for g in Gripper)
            raise ValueError(
                f"not a path record {{uv, gripper ({names}), depth_m, score, height_m}}: {error}"
            ) from None


def arc_length(uv: ArrayLike) -> NDArray[np.float64]:
    """Return the length (N,) of the way from the first point (N, D) to each point."""
    steps = np.linalg.norm(np.diff(np.asarray(uv, np.float64), axis=0), axis=-1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _frozen(values: ArrayLike, dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.array(values, dtype=dtype)  # a copy: the caller's array stays the caller's
    array.setflags(write=False)
    return array


def _check(
    uv: NDArray[np.float64],
    gripper: NDArray[np.int8],
    depth_m: NDArray[np.float64] | None,
    score: float | None,
    height_m: NDArray[np.float64] | None,
) -> None:
    if uv.ndim != 2 or uv.shape[1] != 2 or len(uv) == 0:
        raise ValueError(f"uv must have shape (N >= 1, 2), got {uv.shape}")
    # Labels are made by the million: extrema alone, in comparisons that NaN fails.
    if not (uv.min() >= 0 and uv.max() <= 1):
        raise ValueError("uv must be finite and in [0, 1]")
    if gripper.shape != (len(uv),) or not (gripper.min() >= -1 and gripper.max() <= 1):
        raise ValueError(f"gripper must be {len(uv)} of {[g.name for g in Gripper]}, got {gripper.tolist()}")
    if depth_m is not None and (depth_m.shape != (len(uv),) or not (depth_m.min() > 0 and depth_m.max() < np.inf)):
        raise ValueError(f"depth_m must be {len(uv)} finite metres > 0")
    if height_m is not None and (height_m.shape != (len(uv),) or not np.isfinite(height_m).all()):
        raise ValueError(f"height_m must be {len(uv)} finite metres")
    if score is not None and not 0 <= score <= 1:
        raise ValueError(f"score must be in [0, 1], got {score}")
