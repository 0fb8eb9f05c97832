"""What comes after a frame of a demonstration, for heads that answer with more than one pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import matrix_from_quaternion, quaternion_from_matrix

Array = NDArray[np.float64]


def poses_ahead(
    tool: Array,
    is_open: NDArray[np.bool_],
    keypose: NDArray[np.int64],
    time_s: Array,
    frame: int,
    head: str,
    horizon: int,
    step_s: float,
) -> tuple[Array, NDArray[np.bool_]]:
    """The next `horizon` poses (K, 4, 4) of an episode, and the gripper's command (K,) at each.

    Args:
        tool: (T, 4, 4) its poses. is_open: (T,) its commands. keypose: (T,) which one it is on its way to.
        time_s: (T,) when.
        head: "chunk": where it was every `step_s` seconds from here on, at the end once that is reached; "trajectory":
            evenly spaced in frames from here to where the next keypose is reached.
    """
    last = len(tool) - 1
    if head == "chunk":
        at = np.interp(time_s[frame] + step_s * np.arange(1, horizon + 1), time_s, np.arange(last + 1.0))
    elif head == "trajectory":
        reached = np.flatnonzero(keypose[frame:] != keypose[frame])
        end = frame + int(reached[0]) if len(reached) else last
        at = np.linspace(frame, end, horizon + 1)[1:]
    else:
        raise ValueError(f"unknown head {head!r}; there are keypose, trajectory, chunk")
    return between(tool, at), is_open[np.floor(at + 1e-9).astype(int)]


def between(poses: Array, at: Array) -> Array:
    """Poses (T, 4, 4) at fractional indices (K,): straight lines, and rotations along the shorter arc."""
    lower = np.floor(at + 1e-9).astype(int).clip(0, len(poses) - 1)
    upper = np.minimum(lower + 1, len(poses) - 1)
    part = (at - lower).clip(0, 1)[:, None]
    out = np.tile(np.eye(4), (len(at), 1, 1))
    out[:, :3, 3] = (1 - part) * poses[lower, :3, 3] + part * poses[upper, :3, 3]
    a, b = quaternion_from_matrix(poses[lower, :3, :3]), quaternion_from_matrix(poses[upper, :3, :3])
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    # Steps are small: the normalised chord is the arc to within a thousandth.
    out[:, :3, :3] = matrix_from_quaternion((1 - part) * a + part * b)
    return out
