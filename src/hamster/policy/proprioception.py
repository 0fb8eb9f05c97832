"""What the robot feels and remembers, as every 3D family takes it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hamster.policy.actor import as_float
from hamster.policy.scene import Body


def felt(body: Body, history: int) -> dict[str, Tensor]:
    """Of now and of the last `history` times that the policy was asked before, the last one first.

    Returns:
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and last command, 0 closed to 1 open.
        previous: (history, 3) where the tool was then, metres from the tool; 0 where there was no such time.
        previous_features: (history, 2) whether there was such a time, and the command in force then.
    """
    tool = np.asarray(body.tool_pose_world, np.float64)[:3, 3]
    previous, features = np.tile(tool, (history, 1)), np.zeros((history, 2))
    for i, before in enumerate(body.past()):
        previous[i], features[i] = before.tool_pose_world[:3, 3], (1, before.is_open)
    return {
        "tool_rotation": as_float(body.tool_pose_world[:3, :3]),
        "gripper": as_float([body.opening, body.is_open]),
        "previous": as_float(previous - tool),
        "previous_features": as_float(features),
    }
