"""Extract keyposes from a demonstration whose source has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.data import Keyposes
from hamster.path.simplify import kept_waypoints

DEVIATION_M = 0.02


def find_keyposes(
    tool_poses_world: NDArray[np.float64], is_open: NDArray[np.bool_], deviation_m: float = DEVIATION_M
) -> Keyposes:
    """Return keyposes such that straight lines between them stay near the recorded motion.

    They are the corners of the simplified motion in 3D, the frames at which the gripper changes, and the last frame.

    Args:
        tool_poses_world: (T, 4, 4).
        is_open: (T,) the commanded state.
        deviation_m: how far the recorded tip may be from the straight lines.
    """
    changes = np.flatnonzero(is_open[1:] != is_open[:-1]) + 1
    frames = kept_waypoints(tool_poses_world[:, :3, 3], changes, deviation_m)
    frames = frames[1:] if len(frames) > 1 else frames  # where it starts is nowhere to go to
    # At its own frame a keypose is reached, and the next one is ahead; after the last one that is one past the end.
    ahead = np.searchsorted(frames, np.arange(len(tool_poses_world)), side="right")
    return Keyposes(tool_poses_world[frames], is_open[frames], ahead.astype(np.int64))
