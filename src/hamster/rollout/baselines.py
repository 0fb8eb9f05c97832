"""The baselines oracle, shuffled and none, which show whether the policy follows the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.rollout.environment import Environment

BASELINES = ("oracle", "shuffled", "none")


class ExpertEnvironment(Environment, Protocol):
    """An environment with a scripted expert."""

    def expert_path(self) -> Path2D:
        """Return the expert's path in the camera "front"; PlanError if it leaves the image."""


@dataclass(frozen=True, eq=False)
class BaselinePlan:
    """A plan of a baseline, without a model's text."""

    paths: tuple[Path2D, ...]
    raw_text: str = ""


class OraclePlanner:
    """Draws the expert's path from the present state: the upper bound of any planner."""

    def __init__(self, env: ExpertEnvironment) -> None:
        self._env = env

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Return the expert's path from the present state."""
        del image, instruction  # the expert uses the state
        return BaselinePlan((self._env.expert_path(),))


class ShuffledPlanner:
    """Draws the oracle path of another scene: a valid path in the wrong place, which a policy should fail with."""

    def __init__(self, other: ExpertEnvironment) -> None:
        self._path = other.expert_path()

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Return the same path for every image and instruction."""
        del image, instruction
        return BaselinePlan((self._path,))
