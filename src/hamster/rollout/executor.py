"""Keyposes become control steps, with the same motion generator that the expert's demonstrations were made with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hamster.geometry.keypose_motion import keypose_steps, stream_steps
from hamster.rollout.environment import Environment

Array = NDArray[np.float64]


class Executor:
    """Moves one robot from keypose to keypose.

    It goes on from what was commanded last, not from what was measured: a lagging arm would otherwise fall further
    behind with each keypose.

    Args:
        env: just reset, the gripper open.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._pose_world = env.tool_pose_world()
        self._gripper_open = True

    @property
    def commanded_tool_pose_world(self) -> Array:
        """(4, 4) commanded last; at first, measured."""
        return self._pose_world

    def move(self, pose_world: Array, gripper_open: bool, step_s: float | None = None) -> Iterator[bool]:
        """Goes to a tool pose (4, 4), then commands the gripper; yields after each step whether the task is done.

        A keypose is settled at; one of a stream of poses, `step_s` apart, is only passed. The caller may stop at any
        step: nothing is commanded ahead.
        """
        before = self._pose_world, self._gripper_open
        if step_s is None:
            poses, openings = keypose_steps(*before, pose_world, gripper_open)
        else:
            poses, openings = stream_steps(*before, pose_world, gripper_open, step_s)
        for pose, opening in zip(poses, openings, strict=True):
            self._pose_world, self._gripper_open = pose, bool(opening > 0.5)
            yield self._env.step(pose, self._gripper_open)
