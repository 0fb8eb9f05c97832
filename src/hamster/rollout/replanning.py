"""Replanning: when the planner is called, and which of its paths is in force.

Nothing here knows a simulator or a robot. The loop that moves the robot takes the images, owns the clock, and asks
before each action for the newest path (`Replanner.take`). A planner runs at a lower rate than the policy; two kinds of
call stand for that:

- `SimulatedPlannerCall`: simulated time stands still while the planner computes, and its answer is withheld for a
  simulated latency. The same seed gives the same episode, on any machine.
- `ThreadedPlannerCall`: the planner computes in a thread of its own while the robot moves, by wall clock.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Protocol

from hamster.path import PlanError
from hamster.rollout.planned_path import KeepPathRule, PlannedPath
from hamster.rollout.worker import Finished, Worker, run_task

CLOSE_S = 60.0
"""Seconds for which the end of an episode waits for a planner that is still computing in its thread."""
_ROUNDING_S = 1e-9  # of a sum of control periods

Replan = int | Literal["async"]
"""When the planner is called again: after so many keyposes (0: never), or "async", as soon as it has answered."""


@dataclass(frozen=True, eq=False)
class PlannerAnswer:
    """The answer to one call of the planner.

    Attributes:
        planned: the path, or the error that says why there is none.
        image_step: control step of the image that it was drawn on.
        planner_s: seconds that the planner computed, by wall clock.
    """

    planned: PlannedPath | Exception
    image_step: int
    planner_s: float


class PlannerCall(Protocol):
    """Calls a planner, one call at a time."""

    @property
    def is_running(self) -> bool:
        """Whether a call was started and its answer not been returned yet."""

    @property
    def takes_time(self) -> bool:
        """Whether an answer comes later than its call."""

    def start(self, plan: Callable[[], PlannedPath], image_step: int) -> None:
        """Start a call; RuntimeError while another one is running."""

    def poll(self) -> PlannerAnswer | None:
        """Return the answer once, as soon as it is there; else None."""

    def close(self) -> None:
        """Give up the call that is running, if any."""


class SimulatedPlannerCall:
    """Calls a planner at once, and withholds its answer until a simulated latency has passed.

    Args:
        latency_s: seconds of simulated time from a call to its answer.
        clock: returns the simulated time in seconds.
    """

    def __init__(self, latency_s: float, clock: Callable[[], float]) -> None:
        self._latency_s, self._clock = latency_s, clock
        self._answer: PlannerAnswer | None = None
        self._available_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether an answer is withheld."""
        return self._answer is not None

    @property
    def takes_time(self) -> bool:
        """Whether the latency is longer than zero."""
        return self._latency_s > 0

    def start(self, plan: Callable[[], PlannedPath], image_step: int) -> None:
        """Compute the answer now, with the present state of everything that the planner sees."""
        _check_idle(self)
        self._available_s = self._clock() + self._latency_s - _ROUNDING_S
        self._answer = _answer(run_task(plan), image_step)

    def poll(self) -> PlannerAnswer | None:
        """Return the answer once, when its latency has passed."""
        if self._answer is None or self._clock() < self._available_s:
            return None
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        """Drop the answer that is withheld."""
        self._answer = None


class ThreadedPlannerCall:
    """Calls a planner in a thread of its own, while the robot moves.

    Args:
        close_s: seconds for which `close` waits for a call that is running.
    """

    takes_time = True

    def __init__(self, close_s: float = CLOSE_S) -> None:
        self._worker: Worker[PlannedPath] = Worker("hamster-planner")
        self._image_step = 0  # of the call that is running
        self._close_s = close_s

    @property
    def is_running(self) -> bool:
        """Whether a call's answer has not been returned yet."""
        return not self._worker.is_idle

    def start(self, plan: Callable[[], PlannedPath], image_step: int) -> None:
        """Start computing in the planner's thread."""
        _check_idle(self)
        self._image_step = image_step
        self._worker.submit(plan)

    def poll(self) -> PlannerAnswer | None:
        """Return the answer once, when it is computed; an error of the planner is part of it."""
        finished = self._worker.collect()
        return None if finished is None else _answer(finished, self._image_step)

    def close(self) -> None:
        """Wait for the call that is running, since a thread cannot be stopped; leave it behind if it hangs."""
        if not self._worker.wait(self._close_s):
            warnings.warn(
                f"the planner has not answered for {self._close_s:g} s after the episode; its thread is left behind",
                RuntimeWarning,
                stacklevel=2,
            )


class Replanner:
    """Decides when the planner is called, and which of its paths is in force.

    A path that is in force stays there while the planner has nothing better, see `KeepPathRule`.

    Args:
        call: of the planner.
        replan: when it is called again; see `Replan`.
    """

    def __init__(self, call: PlannerCall, replan: Replan) -> None:
        self._call, self._replan = call, replan
        self._newest: PlannerAnswer | None = None
        self._rule = KeepPathRule()
        self._next_keypose: int | None = 0

    @property
    def n_kept(self) -> int:
        """How often a plan error or a refusal has kept the path in force."""
        return self._rule.n_kept

    @property
    def runs_ahead(self) -> bool:
        """Whether the planner is called again while the robot moves, as soon as it has answered."""
        return self._replan == "async" and self._call.takes_time

    def is_due(self, n_keyposes: int) -> bool:
        """Return whether the planner is to be called now, after so many keyposes of the episode."""
        if self._call.is_running:
            return False
        if self._replan == "async":
            return True
        return self._next_keypose is not None and n_keyposes >= self._next_keypose

    def start(self, plan: Callable[[], PlannedPath], image_step: int, n_keyposes: int) -> None:
        """Call the planner.

        Args:
            plan: computes a path from an image of this moment.
            image_step: the control step of that image.
            n_keyposes: keyposes of the episode so far.
        """
        if isinstance(self._replan, int):
            self._next_keypose = n_keyposes + self._replan if self._replan else None
        self._call.start(plan, image_step)

    def poll(self) -> PlannerAnswer | None:
        """Return an answer that has just come, to be recorded; call it once per control step."""
        answer = self._call.poll()
        if answer is not None and not self._is_broken:
            self._newest = answer
        return answer

    @property
    def _is_broken(self) -> bool:
        """Whether the planner raised what is no answer at all: no later answer may hide that."""
        planned = None if self._newest is None else self._newest.planned
        return isinstance(planned, Exception) and not isinstance(planned, PlanError)

    @property
    def must_wait(self) -> bool:
        """Whether the robot must hold still for an answer: there is no path yet, or it replans at a stop."""
        return self._call.is_running and (self._replan != "async" or not (self._rule.has_path or self._newest))

    def take(self) -> PlannerAnswer | None:
        """Put the newest path in force before an action; return its answer, or None if the path in force stays.

        Raises:
            PlanError: if there is no path to keep, or it has been kept too often.
            Exception: what else the planner raised, such as PlannerUnavailableError.
        """
        answer, self._newest = self._newest, None
        if answer is None:
            return None
        if isinstance(answer.planned, Exception):
            if not self._rule.keeps(answer.planned):
                raise answer.planned
            return None
        self._rule.put_in_force()
        return answer

    def close(self) -> None:
        """Give up the call that is running."""
        self._call.close()


def check_replan(replan: Replan, planner_latency_s: float | None) -> None:
    """Raise ValueError, with the valid values, unless these are settings of a `Replanner`."""
    is_count = isinstance(replan, int) and not isinstance(replan, bool) and replan >= 0
    if not (is_count or replan == "async"):
        raise ValueError(f"replan must be a number of keyposes >= 0 or 'async', got {replan!r}")
    if planner_latency_s is not None and not (isfinite(planner_latency_s) and planner_latency_s >= 0):
        raise ValueError(f"planner_latency_s must be finite and >= 0, got {planner_latency_s!r}")


def _check_idle(call: PlannerCall) -> None:
    if call.is_running:
        raise RuntimeError("the planner is still computing: poll its answer before the next call")


def _answer(finished: Finished[PlannedPath], image_step: int) -> PlannerAnswer:
    planned = finished.value if finished.error is None else finished.error
    assert planned is not None
    return PlannerAnswer(planned, image_step, finished.seconds)
