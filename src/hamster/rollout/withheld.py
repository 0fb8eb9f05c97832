"""Environments that withhold an input of planner and policy: what still succeeds has another source of information."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.rollout.environment import Environment


class _Wrapper:
    """An environment with all members of another one."""

    def __init__(self, env: Environment) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


class BlindEnvironment(_Wrapper):
    """An environment whose images are black and whose depth is unknown, for planner and policy alike."""

    def observe(self) -> Observation:
        """Return the sensor readings without anything that cameras see."""
        observation = self.env.observe()
        return replace(observation, views={name: _dark(view) for name, view in observation.views.items()})

    def front_image(self) -> NDArray[np.uint8]:
        """Return a black image of the size of the environment's."""
        return np.zeros_like(self.env.front_image())


class WrongWordsEnvironment(_Wrapper):
    """An environment with the instruction of another scene; success is that of its own task.

    Args:
        env: whose instruction is replaced.
        instruction: of another scene.
    """

    def __init__(self, env: Environment, instruction: str) -> None:
        super().__init__(env)
        self.instruction = instruction


def _dark(view: View) -> View:
    depth_m = None if view.depth_m is None else np.zeros_like(view.depth_m)
    return View(np.zeros_like(view.rgb), depth_m, view.camera)
