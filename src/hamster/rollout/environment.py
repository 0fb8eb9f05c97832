"""The interface of a robot, simulated or real, to the closed loop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation

Array = NDArray[np.float64]


class BrokenEnvironmentError(RuntimeError):
    """The robot or its simulator broke down: the episode is no measurement of the policy."""


class Environment(Protocol):
    """A robot with a task, simulated or real."""

    @property
    def instruction(self) -> str:
        """The instruction of the task, in plain English."""

    @property
    def dt_s(self) -> float:
        """Seconds from one `step` to the next."""

    def observe(self) -> Observation:
        """Return all sensor readings now, images at the resolution of the policy."""

    def tool_pose_world(self) -> Array:
        """Return the measured pose (4, 4) of the tool's tip in the world; cheap."""

    def front_image(self) -> NDArray[np.uint8]:
        """Return an image (H, W, 3) uint8 of the camera "front", for the planner and the video."""

    def step(self, tool_pose_world: Array, gripper_open: bool) -> bool:
        """Command a tool pose and the gripper for one period; return whether the task is done.

        Args:
            tool_pose_world: (4, 4), metres.
            gripper_open: commanded state of the gripper.

        Raises:
            BrokenEnvironmentError: if the simulation diverged or the robot stopped answering.
        """


def check_environment(env: Environment) -> None:
    """Raise ValueError, with the way out, unless an object has the members of an environment."""
    name = type(env).__name__
    members = ("instruction", "dt_s", "observe", "tool_pose_world", "front_image", "step")
    if missing := [member for member in members if not hasattr(env, member)]:
        raise ValueError(f"{name} is no environment yet: add {' and '.join(missing)} (see hamster.Environment)")
    if not env.dt_s > 0:
        raise ValueError(f"dt_s of {name} is {env.dt_s!r}; it must be the seconds from one step to the next")
    if (shape := np.shape(env.tool_pose_world())) != (4, 4):
        raise ValueError(f"tool_pose_world() of {name} has shape {shape}; return a pose (4, 4)")


def checked_image(env: Environment) -> NDArray[np.uint8]:
    """Return the image of `front_image`; ValueError, with the way out, if it is no RGB image."""
    image = env.front_image()
    shape, dtype = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
        raise ValueError(f"front_image() of {type(env).__name__} is {shape} {dtype}; return RGB, (H, W, 3) uint8")
    return image
