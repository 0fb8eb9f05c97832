"""Remove a gripper event that has no effect on a robot whose gripper is known to be open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hamster.path.path import Gripper, Path2D

CLOSE_OPEN_CLOSE = [Gripper.CLOSED, Gripper.OPEN, Gripper.CLOSED]


def drop_redundant_close(path: Path2D) -> Path2D:
    """Return the path without a close event at its start that is undone before the next close.

    For a gripper that is open. Whether a gripper is closed is hard to see in an image, so a planner may predict that
    it is, and that it opens before it grasps. A robot whose measured gripper is open holds nothing, so both events are
    redundant. All waypoints stay.
    """
    events = path.events
    if not events or events[0][0] > 0 or [state for _, state in events[:3]] != CLOSE_OPEN_CLOSE:
        return path
    gripper = np.full(len(path), Gripper.UNKNOWN, np.int8)
    for waypoint, state in events[2:]:
        gripper[waypoint:] = state
    return replace(path, gripper=gripper)
