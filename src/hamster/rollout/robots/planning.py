"""Planning beside the motion of a robot: when the planner is asked, and which of its paths is in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN
from hamster.path import Path2D, PlanError
from hamster.path.redundant_close import drop_redundant_close
from hamster.rollout.interfaces import PlanLike, PlannerLike
from hamster.rollout.replanning import MAX_KEPT_IN_A_ROW
from hamster.rollout.robots.base import RobotObservation
from hamster.rollout.worker import Worker


@dataclass(frozen=True, eq=False)
class PathInForce:
    """A path and the image that it was drawn on.

    Attributes:
        path: on the image of the planner's camera.
        rgb: (H, W, 3) uint8.
        captured_s: time of the image.
        raw_text: the planner's answer.
        planner_s: seconds that it took.
        number: of the path, from 0.
    """

    path: Path2D
    rgb: NDArray[np.uint8]
    captured_s: float
    raw_text: str
    planner_s: float
    number: int


class AsynchronousPlanner:
    """Asks a planner in a thread of its own and keeps the newest path.

    Args:
        planner: to ask.
        camera: whose images it draws on.
        instruction: the task.
        replan_s: seconds from one call to the next; 0 asks once.
        timeout_s: for one call.
        log: called with the name of an event and its details.
        clock: seconds.
    """

    def __init__(
        self,
        planner: PlannerLike,
        camera: str,
        instruction: str,
        replan_s: float,
        timeout_s: float,
        log: Callable[..., None],
        clock: Callable[[], float],
    ) -> None:
        self._planner, self._camera, self._instruction = planner, camera, instruction
        self._replan_s, self._timeout_s, self._log, self._clock = replan_s, timeout_s, log, clock
        self._worker: Worker[PlanLike] = Worker("planner", clock)
        self._asked_s = -np.inf
        self._asked_with: RobotObservation | None = None
        self._n_kept = 0
        self.in_force: PathInForce | None = None
        self.planner_s: list[float] = []

    def update(self, newest: RobotObservation) -> str | None:
        """Collect an answer and ask again if it is time; return why the robot must stop, or None.

        Args:
            newest: the newest observation, recent enough to plan on.
        """
        finished = self._worker.collect()
        if finished is not None:
            self.planner_s.append(finished.seconds)
            if (reason := self._take(finished.value, finished.error, finished.seconds)) is not None:
                return reason
        if self._worker.busy_s > self._timeout_s:
            return f"the planner has not answered for {self._timeout_s:g} s"
        is_due = self.in_force is None or (self._replan_s > 0 and self._clock() - self._asked_s >= self._replan_s)
        if is_due and self._worker.is_idle:
            self._asked_s, self._asked_with = self._clock(), newest
            rgb = newest.observation.views[self._camera].rgb
            self._worker.submit(lambda: self._planner.plan(rgb, self._instruction))
        return None

    def _take(self, plan: PlanLike | None, error: Exception | None, seconds: float) -> str | None:
        if error is not None:
            kind = type(error).__name__
            self._log("plan_failed", reason=f"{kind}: {error}", raw_text=getattr(error, "raw_text", ""))
            self._n_kept += 1
            if self.in_force is None or self._n_kept > MAX_KEPT_IN_A_ROW or not isinstance(error, PlanError):
                return f"no path to follow: {kind}: {error}"
            return None
        assert self._asked_with is not None
        if plan is None or not getattr(plan, "paths", ()):
            return f"plan() of {type(self._planner).__name__} returned a {type(plan).__name__} without a path"
        observation, path = self._asked_with.observation, plan.paths[0]
        if observation.gripper is not None and observation.gripper > HALF_OPEN:
            path = drop_redundant_close(path)
        number = 0 if self.in_force is None else self.in_force.number + 1
        rgb = observation.views[self._camera].rgb
        self.in_force = PathInForce(path, rgb, self._asked_with.captured_s, plan.raw_text, seconds, number)
        self._n_kept = 0
        self._log("path", number=number, waypoints=len(path), planner_s=round(seconds, 3), raw_text=plan.raw_text)
        return None
