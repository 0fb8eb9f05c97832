"""What the closed loop needs of a robot, simulated or real."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation

Array = NDArray[np.float64]


class BrokenEnvironmentError(RuntimeError):
    """The robot or its simulator broke down: the episode says nothing about the policy."""


class Environment(Protocol):
    """A robot in front of a task. The loop asks it for little, so that a real one can take the simulator's place."""

    @property
    def instruction(self) -> str:
        """What a person asks for."""

    @property
    def dt_s(self) -> float:
        """Seconds from one `step` to the next."""

    def observe(self) -> Observation:
        """Everything sensed now, at the resolution that the policy wants."""

    def tool_pose_world(self) -> Array:
        """(4, 4) pose of the tool's tip, cheap to ask for."""

    def front_image(self) -> NDArray[np.uint8]:
        """(H, W, 3) from the camera "front", now: what the planner draws on and what the video shows."""

    def step(self, tool_pose_world: Array, gripper_open: bool) -> bool:
        """Commands a tool pose and the gripper for one period; returns whether the task is done.

        Raises:
            BrokenEnvironmentError: if the simulation diverged or the robot stopped answering.
        """
