"""What a demonstration did next, in the world; and as a target, relative to the tool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.policy.actor import Target, as_float
from hamster.policy.scene import Body, mirrored_pose

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Goal:
    """K poses (K, 4, 4), the gripper's command (K,) at each, contact (K,) on the way, and whether all is done already.

    `touches` is 0, 1, or NaN where nobody knows.
    """

    poses_world: Array
    is_open: NDArray[np.bool_]
    touches: NDArray[np.float64]
    done: bool

    def moved(self, there_from_here: Array) -> Goal:
        """In a world moved by a rigid transform (4, 4)."""
        return replace(self, poses_world=there_from_here @ self.poses_world)

    def mirrored(self) -> Goal:
        """In the mirror, see `Scene.mirrored`."""
        return replace(self, poses_world=mirrored_pose(self.poses_world))

    def target(self, body: Body) -> Target:
        """Relative to where the tool is."""
        return Target(
            position=as_float(self.poses_world[:, :3, 3] - body.tool_pose_world[:3, 3]),
            rotation=as_float(self.poses_world[:, :3, :3]),
            is_open=as_float(self.is_open),
            done=torch.tensor(float(self.done)),
            touches=as_float(self.touches),
        )
