"""Gripper events that have no effect, given the state of the gripper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hamster.path.path import Gripper, Path2D

IDLE = [Gripper.CLOSED, Gripper.OPEN, Gripper.CLOSED]


def drop_redundant_close(path: Path2D) -> Path2D:
    """Return the path without a first close event that is undone before the next one; for a gripper that is open.

    Whether a gripper is closed is hard to see in an image, so a planner may start a path with a closed gripper that
    opens before it grasps. A robot knows that its gripper is open and holds nothing. Waypoints are kept.
    """
    events = path.events
    if not events or events[0][0] > 0 or [state for _, state in events[:3]] != IDLE:
        return path
    gripper = np.full(len(path), Gripper.UNKNOWN, np.int8)
    for waypoint, state in events[2:]:
        gripper[waypoint:] = state
    return replace(path, gripper=gripper)
