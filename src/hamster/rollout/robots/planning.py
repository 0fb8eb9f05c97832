"""Planning beside the motion of a robot: when the planner is called, and which of its paths is in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.rollout.interfaces import PlannerLike
from hamster.rollout.planned_path import KeepPathRule, PlannedPath, plan_path
from hamster.rollout.robots.base import RobotObservation
from hamster.rollout.worker import Finished, Worker


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
    """Calls a planner in a thread of its own and keeps the newest path; see `KeepPathRule` for calls that fail.

    Args:
        planner: to call.
        camera: whose images it draws on.
        instruction: the task.
        replan_s: seconds from one call to the next; 0 calls it once.
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
        self._worker: Worker[PlannedPath] = Worker("planner", clock)
        self._called_s = -np.inf
        self._planned_on: RobotObservation | None = None  # the observation of the last call
        self._rule = KeepPathRule()
        self.in_force: PathInForce | None = None
        self.planner_s: list[float] = []

    def update(self, newest: RobotObservation) -> str | None:
        """Collect an answer and call the planner again if it is time; return why the robot must stop, or None.

        Args:
            newest: the newest observation, recent enough to plan on.
        """
        finished = self._worker.collect()
        if finished is not None:
            self.planner_s.append(finished.seconds)
            if (reason := self._take(finished)) is not None:
                return reason
        if self._worker.busy_s > self._timeout_s:
            return f"the planner has not answered for {self._timeout_s:g} s"
        is_due = self.in_force is None or (self._replan_s > 0 and self._clock() - self._called_s >= self._replan_s)
        if is_due and self._worker.is_idle:
            self._called_s, self._planned_on = self._clock(), newest
            rgb, gripper = newest.observation.views[self._camera].rgb, newest.observation.gripper
            self._worker.submit(partial(plan_path, self._planner, rgb, self._instruction, gripper))
        return None

    def _take(self, finished: Finished[PlannedPath]) -> str | None:
        if (error := finished.error) is not None:
            kind = type(error).__name__
            self._log("plan_failed", reason=f"{kind}: {error}", raw_text=getattr(error, "raw_text", ""))
            return None if self._rule.keeps(error) else f"no path to follow: {kind}: {error}"
        assert finished.value is not None and self._planned_on is not None
        path, raw_text, seconds = finished.value.path, finished.value.raw_text, finished.seconds
        number = 0 if self.in_force is None else self.in_force.number + 1
        rgb = self._planned_on.observation.views[self._camera].rgb
        self.in_force = PathInForce(path, rgb, self._planned_on.captured_s, raw_text, seconds, number)
        self._rule.put_in_force()
        self._log("path", number=number, waypoints=len(path), planner_s=round(seconds, 3), raw_text=raw_text)
        return None
