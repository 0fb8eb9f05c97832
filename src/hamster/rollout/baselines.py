"""The baselines: planners that draw the expert's path, a part of it, or a wrong one; they show what the path is worth.

| name | path |
|---|---|
| `oracle` | the expert's, from the present state |
| `points` | a straight line from where the expert grasps to where it releases; without a grasp, from start to end |
| `shuffled` | the expert's in the next scene, of another task family where the evaluation has several |
| `shuffled-same` | the expert's in the next scene of the same family |
| `swapped` | the expert's to another target or goal in the same scene |
| `none` | none |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.rollout.environment import Environment

BASELINES = ("oracle", "points", "shuffled", "shuffled-same", "swapped", "none")
OF_OTHER_SCENE = ("shuffled", "shuffled-same")
NEED_EXPERT = tuple(name for name in BASELINES if name != "none")


class ExpertEnvironment(Environment, Protocol):
    """An environment with a scripted expert."""

    def expert_path(self) -> Path2D:
        """Return the expert's path in the camera "front"; PlanError if it leaves the image."""


class OtherTask(Protocol):
    """Another task in the scene of an environment."""

    def expert_path(self) -> Path2D:
        """Return the expert's path from the present state, in the camera "front"; PlanError if it leaves the image."""

    def is_success(self) -> bool:
        """Return whether the task is done now."""


class SwappableEnvironment(ExpertEnvironment, Protocol):
    """An environment with an expert and several tasks per scene."""

    def other_task(self, seed: int) -> OtherTask:
        """Return a task of the same family with another target or goal, chosen by the seed; PlanError if none is."""


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


class PointsPlanner(OraclePlanner):
    """Draws the end points of the expert's path only: what a model that predicts points (affordances) can express."""

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Return a straight line between the end points of the expert's path from the present state."""
        return BaselinePlan((end_points(super().plan(image, instruction).paths[0]),))


class SwappedPlanner:
    """Draws the expert's path to another target or goal in the same scene.

    A policy that follows the path does that task instead of the one in the instruction.

    Args:
        env: just reset; the other task is chosen at the first call.
        seed: of the choice.
    """

    def __init__(self, env: SwappableEnvironment, seed: int) -> None:
        self._env, self._seed = env, seed
        self._task: OtherTask | None = None

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Return the expert's path of the other task from the present state; PlanError if there is none."""
        del image, instruction  # the expert uses the state
        if self._task is None:
            self._task = self._env.other_task(self._seed)
        return BaselinePlan((self._task.expert_path(),))

    def is_path_task_success(self) -> bool:
        """Return whether the task of the path is done now."""
        return self._task is not None and self._task.is_success()


class ShuffledPlanner:
    """Draws the oracle path of another scene: a valid path in the wrong place, which a policy should fail with."""

    def __init__(self, other: ExpertEnvironment) -> None:
        self._path = other.expert_path()

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        """Return the same path for every image and instruction."""
        del image, instruction
        return BaselinePlan((self._path,))


def end_points(path: Path2D) -> Path2D:
    """Return only the waypoints at which the gripper changes under way, and the last one; at least two.

    >>> picked_and_placed = Path2D([[0.5, 0.2], [0.4, 0.7], [0.6, 0.5], [0.6, 0.6]], [-1, 0, 0, 1])
    >>> end_points(picked_and_placed).uv.tolist()
    [[0.4, 0.7], [0.6, 0.6]]
    """
    kept = {len(path) - 1, *(waypoint for waypoint, _ in path.events if waypoint > 0)}
    index = sorted(kept if len(kept) > 1 else {0, *kept})
    depth_m = None if path.depth_m is None else path.depth_m[index]
    return Path2D(path.uv[index], path.gripper[index], depth_m, path.score)
