"""What the closed loop needs of a planner and of a policy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.path import Path2D


class PlanLike(Protocol):
    """The part of a plan that the loop uses."""

    @property
    def paths(self) -> tuple[Path2D, ...]:
        """At least one, the best first."""

    @property
    def raw_text(self) -> str:
        """The text of the model's answer; "" if there is none."""


class PlannerLike(Protocol):
    """Anything that draws paths."""

    def plan(self, image: NDArray[np.uint8], instruction: str) -> PlanLike:
        """Return a plan for an image (H, W, 3) uint8; PlanError if there is none."""


class ActionChunkLike(Protocol):
    """The part of an action chunk that the loop uses."""

    @property
    def poses(self) -> NDArray[np.float64]:
        """(K, 4, 4) tool poses in the world."""

    @property
    def gripper_open(self) -> NDArray[np.bool_]:
        """(K,) commanded once the pose is reached."""

    @property
    def step_s(self) -> float | None:
        """Seconds from one pose to the next; None for keyposes."""


class PolicyLike(Protocol):
    """Anything that follows paths.

    A policy may have an attribute `cameras`, the names of the views that it uses: others are not rendered then.
    """

    def reset(self) -> None:
        """Clear the state of the last episode."""

    def act(self, observation: Observation, path: Path2D | None, instruction: str) -> ActionChunkLike:
        """Return the next poses; PolicyError if there are none."""


def checked_action(action: Any, policy: object) -> ActionChunkLike:
    """Return what a policy returned; ValueError, with the way out, if it is no action chunk."""
    if not hasattr(action, "poses") or not hasattr(action, "gripper_open"):
        raise ValueError(
            f"act() of {type(policy).__name__} returned a {type(action).__name__}; return a hamster.ActionChunk"
        )
    chunk: ActionChunkLike = action
    return chunk
