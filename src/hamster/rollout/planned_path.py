"""One call of a planner as a path to follow, and the rule for calls that fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN
from hamster.path import Path2D, PlanError
from hamster.path.redundant_close import drop_redundant_close
from hamster.rollout.interfaces import PlannerLike

MAX_KEPT_IN_A_ROW = 3


@dataclass(frozen=True, eq=False)
class PlannedPath:
    """A path and the text that it was parsed from ("" if there is none)."""

    path: Path2D
    raw_text: str


def plan_path(planner: PlannerLike, image: NDArray[np.uint8], instruction: str, gripper: float | None) -> PlannedPath:
    """Call a planner and return the best path of its plan.

    Args:
        planner: to call.
        image: (H, W, 3) uint8.
        instruction: of the task.
        gripper: measured opening, 0 closed to 1 open. Gripper events that an open gripper makes redundant are dropped;
            None, if it is not known, drops none.

    Raises:
        PlanError: if there is no plan.
        ValueError: if the planner returned something else than a plan.
    """
    plan = planner.plan(image, instruction)
    if not getattr(plan, "paths", ()):
        raise ValueError(
            f"plan() of {type(planner).__name__} returned a {type(plan).__name__}; return hamster.Plan(path), or raise "
            "hamster.PlanError"
        )
    path = plan.paths[0]
    is_open = gripper is not None and gripper > HALF_OPEN
    return PlannedPath(drop_redundant_close(path) if is_open else path, plan.raw_text)


class KeepPathRule:
    """Decides whether the path in force stays there after a call of the planner that failed.

    A plan error or a refusal keeps it, at most `MAX_KEPT_IN_A_ROW` times in a row. Any other error does not, and none
    does before the first path.

    Attributes:
        has_path: whether there is a path in force.
        n_kept: how often it was kept.
    """

    def __init__(self) -> None:
        self.has_path, self.n_kept = False, 0
        self._n_kept_in_a_row = 0

    def put_in_force(self) -> None:
        """Note that a new path is in force."""
        self.has_path, self._n_kept_in_a_row = True, 0

    def keeps(self, error: Exception) -> bool:
        """Return, once per failed call, whether the path in force stays in spite of its error."""
        if not (self.has_path and isinstance(error, PlanError) and self._n_kept_in_a_row < MAX_KEPT_IN_A_ROW):
            return False
        self._n_kept_in_a_row += 1
        self.n_kept += 1
        return True
