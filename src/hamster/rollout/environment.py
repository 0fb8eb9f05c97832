"""The interface of a robot, simulated or real, to the closed loop."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation

Array = NDArray[np.float64]


class BrokenEnvironmentError(RuntimeError):
    """The robot or its simulator broke down: the episode is no measurement of the policy."""


class Environment(Protocol):
    """A robot with a task, simulated or real.

    Optional: `observe` may take `cameras`, the names of the views to return, so that no image is rendered in vain;
    `positions_world()` returns the positions (N, 3), metres, of everything that can move, the robot included;
    `is_failed()` returns whether the task cannot be done any more; `gripper_command()` returns whether the gripper was
    last told to be open, which its opening does not say while it holds a wide thing; `expert_path()` see
    `ExpertEnvironment`; `close()` frees what it holds.
    """

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


class Sensors:
    """Reads the sensors of an environment, and renders no view that nobody needs where the environment can tell.

    Args:
        env: whose `observe` may take `cameras`.
        cameras: the views that the policy uses; None if it does not say, for all.
    """

    def __init__(self, env: Environment, cameras: Sequence[str] | None) -> None:
        self._env: Any = env
        self._selects = _takes_cameras(env)
        self._cameras = None if cameras is None else tuple(cameras)

    def observe(self) -> Observation:
        """Return the sensor readings with the views that the policy uses."""
        if not self._selects or self._cameras is None:
            return self._checked(self._env.observe())
        observation = self._checked(self._env.observe(cameras=self._cameras))
        if set(self._cameras) <= set(observation.views):
            return observation
        return self._checked(self._env.observe())  # the policy's error is to name the views that there are

    def observe_robot(self) -> Observation:
        """Return the sensor readings, without views if possible."""
        return self._checked(self._env.observe(cameras=()) if self._selects else self._env.observe())

    def _checked(self, observation: Any) -> Observation:
        if not isinstance(observation, Observation):
            raise ValueError(
                f"observe() of {type(self._env).__name__} returned a {type(observation).__name__}; "
                "return a hamster.Observation"
            )
        return observation


def _takes_cameras(env: Environment) -> bool:
    try:
        return "cameras" in inspect.signature(env.observe).parameters
    except ValueError:  # a function in C states no signature
        return False


def checked_image(env: Environment) -> NDArray[np.uint8]:
    """Return the image of `front_image`; ValueError, with the way out, if it is no RGB image."""
    image = env.front_image()
    shape, dtype = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
        raise ValueError(f"front_image() of {type(env).__name__} is {shape} {dtype}; return RGB, (H, W, 3) uint8")
    return image
