"""What a policy is: observation and path in, a chunk of actions out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.path import Path2D


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """What the robot is to do next: K tool poses and gripper commands.

    Attributes:
        poses: (K, 4, 4) tool poses in the world, metres, to be reached one after the other.
        gripper_open: (K,) bool, commanded once the pose is reached.
        step_s: seconds from one pose to the next; None for keyposes, each of which is moved to and settled at.
        contact_prob: (K,) probability that robot or load touch something on the way there, which a motion planner has
            to allow then (RLBench's `ignore_collisions`); None for policies that do not predict it.
    """

    poses: NDArray[np.float64]
    gripper_open: NDArray[np.bool_]
    step_s: float | None = None
    contact_prob: NDArray[np.float64] | None = None

    @property
    def touches(self) -> NDArray[np.float64] | None:
        """The former name of `contact_prob`; ends with version 0.3."""
        warnings.warn("ActionChunk.touches is now contact_prob", DeprecationWarning, stacklevel=2)
        return self.contact_prob


class PolicyError(ValueError):
    """The policy has no action to offer, and why. Never turned into an action, nor into a success."""


class PolicyUnavailableError(ConnectionError):
    """The policy's server cannot be reached, or has lost the episode: no result, so evaluations do not count it."""


class Policy(Protocol):
    """The low level: follows a path in 3D.

    The path is lifted into 3D with the observation that it first comes with. Passing an equal path again keeps it
    there; another path is lifted with the observation that comes with it.
    """

    def reset(self) -> None:
        """Forget the episode: its path and the gripper's state."""
        ...

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> ActionChunk:
        """Return the next keypose or trajectory.

        Args:
            observation: with RGB, depth and calibration of the policy's cameras, and the tool's pose.
            path: on the image of the policy's first camera; without one (None) the policy has to guess.
            instruction: used by policies with a text input only; the bundled one has none.

        Raises:
            PolicyError: if the network's output is not finite.
            ValueError: if the observation lacks something; one line that names it.
        """
        ...
