"""The baselines: paths that prove, or disprove, that it is the path that steers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.rollout.environment import Environment

BASELINES = ("oracle", "shuffled", "none")


class ExpertEnvironment(Environment, Protocol):
    """An environment that knows how its task is done."""

    def expert_path(self) -> Path2D:
        """The expert's path from here to the end, in the camera "front"; PlanError where it leaves the image."""


@dataclass(frozen=True, eq=False)
class BaselinePlan:
    """What a baseline draws; no model printed anything."""

    paths: tuple[Path2D, ...]
    raw_text: str = ""


class OraclePlanner:
    """Knows the scene: draws the path that the expert would take from here. The ceiling of what a planner can do."""

    def __init__(self, env: ExpertEnvironment) -> None:
        self._env = env

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """The expert's path from the present state."""
        del image, instruction  # It sees the state instead.
        return BaselinePlan((self._env.expert_path(),))


class ShuffledPlanner:
    """Draws the oracle path of another scene: a fine path, in the wrong place. Who ignores paths will not mind."""

    def __init__(self, other: ExpertEnvironment) -> None:
        self._path = other.expert_path()

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """The same path, whatever is asked."""
        del image, instruction  # It looks at neither.
        return BaselinePlan((self._path,))
