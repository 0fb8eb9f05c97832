"""Gripper events that do nothing, known only to who knows the gripper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hamster.path.path import Gripper, Path2D

IDLE = [Gripper.CLOSED, Gripper.OPEN, Gripper.CLOSED]


def settled(path: Path2D) -> Path2D:
    """The path of a gripper that is open, without a first close that is undone before the next one.

    Whether a gripper is closed is hard to see in an image, so planners may say that it is, and that it opens before it
    grasps. A robot whose gripper is open holds nothing, and knows better. Waypoints stay.
    """
    events = path.events
    if not events or events[0][0] > 0 or [state for _, state in events[:3]] != IDLE:
        return path
    gripper = np.full(len(path), Gripper.UNKNOWN, np.int8)
    for waypoint, state in events[2:]:
        gripper[waypoint:] = state
    return replace(path, gripper=gripper)
