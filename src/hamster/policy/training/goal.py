"""What a demonstration did next, in the world's frame; and as a target, relative to the tool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.policy.actor import Target
from hamster.policy.policy_input import RobotState, as_float, mirrored_pose

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Goal:
    """The next K poses of a demonstration.

    Attributes:
        poses_world: (K, 4, 4) of the tool, metres.
        is_open: (K,) the gripper command at each.
        contact: (K,) 1 where robot or load touch something on the way, 0 where not, NaN where unknown.
        done: whether the task is done already.
    """

    poses_world: Array
    is_open: NDArray[np.bool_]
    contact: NDArray[np.float64]
    done: bool

    def moved(self, there_from_here: Array) -> Goal:
        """Return the goal in a world moved by a rigid transform (4, 4)."""
        return replace(self, poses_world=there_from_here @ self.poses_world)

    def mirrored(self) -> Goal:
        """Return the mirrored goal, see `PolicyInput.mirrored`."""
        return replace(self, poses_world=mirrored_pose(self.poses_world))

    def target(self, robot: RobotState) -> Target:
        """Return the target relative to where the tool is."""
        return Target(
            position=as_float(self.poses_world[:, :3, 3] - robot.tool_pose_world[:3, 3]),
            rotation=as_float(self.poses_world[:, :3, :3]),
            is_open=as_float(self.is_open),
            done=torch.tensor(float(self.done)),
            contact=as_float(self.contact),
        )
