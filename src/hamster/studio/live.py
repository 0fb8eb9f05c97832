"""A rollout that people watch: it goes at the speed of a robot, can be stopped at any step, and tells what happens.

`rollout` runs it as any other; what it is given are an environment, a planner and a policy wrapped in these.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN, Observation
from hamster.path import Path2D
from hamster.rollout.baselines import BaselinePlan
from hamster.rollout.environment import Environment
from hamster.rollout.interfaces import ActionChunkLike, PlanLike, PolicyLike

Array = NDArray[np.float64]


class RunStoppedByUserError(Exception):
    """Somebody stopped the run; the robot holds still from the last step on."""


class LiveEnvironment:
    """An environment at the speed of a robot.

    Args:
        env: to run.
        instruction: in place of its own.
        stop: set to end the run, within one step.
        before_step: called before each control step.
        after_step: called after each one with the commanded pose (4, 4).
        is_paced: whether a step takes as long as it stands for; False for tests.
    """

    def __init__(
        self,
        env: Environment,
        instruction: str,
        stop: threading.Event,
        before_step: Callable[[], None],
        after_step: Callable[[Array], None],
        is_paced: bool = True,
    ) -> None:
        self._env, self.instruction, self._stop = env, instruction, stop
        self._before_step, self._after_step, self._is_paced = before_step, after_step, is_paced
        self._due_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, tool_pose_world: Array, gripper_open: bool) -> bool:
        """Run one control step when its time has come.

        Raises:
            RunStoppedByUserError: in place of a step, once the run is to be stopped.
        """
        now_s = time.monotonic()
        if self._is_paced:
            self._due_s = max(self._due_s + self._env.dt_s, now_s)  # what was late is not made up for in a hurry
        if self._stop.wait(max(0.0, self._due_s - now_s)):
            raise RunStoppedByUserError
        self._before_step()
        done = self._env.step(tool_pose_world, gripper_open)
        self._after_step(tool_pose_world)
        return done


class LivePlanner:
    """Returns the path on the page, until something in the scene has been moved: from then on a planner is asked.

    Args:
        path: on the page.
        replan: asks the planner about the present image and returns its path; PlanError if it has none.
        is_moved: returns whether something has been moved since the run began.
    """

    def __init__(self, path: Path2D, replan: Callable[[], Path2D] | None, is_moved: Callable[[], bool]) -> None:
        self._path, self._replan, self._is_moved = path, replan, is_moved

    def plan(self, image: NDArray[np.uint8], instruction: str) -> PlanLike:
        """Return the path in force."""
        del image, instruction  # which the session knows
        if self._replan is not None and self._is_moved():
            self._path = self._replan()
        return BaselinePlan((self._path,))


class LivePolicy:
    """A policy whose keyposes are told.

    Args:
        policy: to follow.
        on_chunk: called with the poses (K, 4, 4) and gripper states (K,) of each action.
    """

    def __init__(self, policy: PolicyLike, on_chunk: Callable[[Array, NDArray[np.bool_]], None]) -> None:
        self._policy, self._on_chunk = policy, on_chunk
        self.cameras = getattr(policy, "cameras", None)

    def reset(self) -> None:
        """Clear the state of the last episode."""
        self._policy.reset()

    def act(self, observation: Observation, path: Path2D | None, instruction: str) -> ActionChunkLike:
        """Return the policy's next poses."""
        chunk = self._policy.act(observation, path, instruction)
        stated = slice(None) if chunk.step_s is None else slice(-1, None)  # of a stream, where it leads to
        self._on_chunk(np.asarray(chunk.poses)[stated], np.asarray(chunk.gripper_open)[stated] > HALF_OPEN)
        return chunk


def is_near(pose_world: Array, other_world: Array, distance_m: float) -> bool:
    """Return whether two poses (4, 4) are at most so far from each other, wherever they point."""
    return bool(np.linalg.norm(pose_world[:3, 3] - other_world[:3, 3]) <= distance_m)
