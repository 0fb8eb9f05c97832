"""When an episode ends: success that lasts, the step limit, and what is hopeless before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.rollout.environment import Environment

IDLE_M = 0.005  # within which nothing counts as moved


@dataclass(frozen=True)
class EndConditions:
    """When an episode ends.

    Attributes:
        max_steps: control steps after which the episode has timed out.
        hold_steps: control steps for which the last command is held once the task is done; it is a success only if it
            is still done then. Otherwise the episode goes on.
        idle_steps: control steps without anything moving by more than `IDLE_M`, after which the episode ends as
            "stalled"; 0: never. The environment needs `positions_world()`.
        stop_when_failed: whether the episode ends as "failed" once the task cannot be done any more. The environment
            needs `is_failed()`.

    Raises:
        ValueError: if a number is too small.
    """

    max_steps: int = 300
    hold_steps: int = 0
    idle_steps: int = 0
    stop_when_failed: bool = False

    def __post_init__(self) -> None:
        for name, low in (("max_steps", 1), ("hold_steps", 0), ("idle_steps", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be >= {low}, got {getattr(self, name)}")

    def check(self, env: Environment) -> None:
        """Raise ValueError, with the way out, if an environment lacks a method that these conditions need."""
        for setting, method in (("idle_steps", "positions_world"), ("stop_when_failed", "is_failed")):
            if getattr(self, setting) and not callable(getattr(env, method, None)):
                raise ValueError(f"{setting} needs {method}() of the environment, and {type(env).__name__} has none")


class IdleDetector:
    """Counts the control steps in which nothing moves.

    Args:
        env: with `positions_world()`: (N, 3), metres, of everything that can move, the robot included.
        idle_steps: after which an episode is idle.
    """

    def __init__(self, env: Any, idle_steps: int) -> None:
        self._env, self._idle_steps = env, idle_steps
        self.reset()

    def reset(self) -> None:
        """Count from here."""
        self._reference: NDArray[np.float64] | None = None
        self._n_still = 0

    def update(self) -> bool:
        """Return, once per control step, whether nothing has moved for as long as the limit."""
        positions = np.array(self._env.positions_world(), np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise ValueError(f"positions_world() of {type(self._env).__name__} has shape {positions.shape}, not (N, 3)")
        before = self._reference
        if (
            before is None
            or before.shape != positions.shape
            or np.linalg.norm(positions - before, axis=1).max(initial=0) > IDLE_M
        ):
            self._reference, self._n_still = positions, 0
        else:
            self._n_still += 1
        return self._n_still >= self._idle_steps
