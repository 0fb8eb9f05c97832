"""Work that takes time: one thing at a time, on the thread that it belongs to, until it ends or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from hamster.planner.error import PlannerUnavailableError
from hamster.serving.errors import INTERNAL
from hamster.serving.log import log
from hamster.studio.board import Board
from hamster.studio.errors import StudioError, conflict
from hamster.studio.state import State, Status

BUSY: dict[Status, str] = {
    "loading": "wait a moment: it is still loading",
    "planning": "the planner is at work: wait for it, or stop it",
    "running": "the robot is moving: stop it first",
    "comparing": "runs are being compared: wait for them, or stop them",
    "stopping": "wait a moment: it is stopping",
}
_FOR_PEOPLE = (StudioError, ValueError, OSError, PlannerUnavailableError)
"""Errors whose message is for people; any other is a bug, and goes to the log."""


class Jobs:
    """The two threads of a studio, and the status on its board.

    Attributes:
        stop: set while what goes on is to end.
        simulator, planner: the threads; physics and OpenGL belong to the first.

    Args:
        board: whose status says what goes on.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.stop = threading.Event()
        self.simulator = ThreadPoolExecutor(1, "studio-simulator")
        self.planner = ThreadPoolExecutor(1, "studio-planner")

    def begin(self, status: Status, change: Callable[[State], State] = lambda state: state, note: str = "") -> None:
        """Change the status from "ready"; StudioError (409) if it is another one.

        Args:
            status: what begins.
            change: of the rest of the state.
            note: what goes on, in words.
        """

        def begun(state: State) -> State:
            check_ready(state)
            self.stop.clear()
            return replace(change(state), status=status, note=note, problem="")

        self._board.change(begun)

    def submit(self, thread: ThreadPoolExecutor, work: Callable[..., object], *args: Any) -> None:
        """Do work that has begun; the status is "ready" when it has ended, whatever way."""

        def job() -> None:
            problem = _problem_of(work, *args)
            self._board.update(status="ready", note="", **({"problem": problem} if problem else {}))

        thread.submit(job)

    def submit_beside(self, work: Callable[..., object], *args: Any) -> None:
        """Do something short on the simulator's thread, whatever else goes on; the status stays as it is."""
        self.simulator.submit(lambda: self._board.update(problem=_problem_of(work, *args)))

    def request_stop(self) -> None:
        """Stop the robot or the planner; nothing happens if neither is at work."""

        def stopped(state: State) -> State:
            if state.status not in ("running", "planning", "comparing"):
                return state
            self.stop.set()
            return replace(state, status="stopping")

        self._board.change(stopped)

    def close(self, last: Callable[[], object], timeout_s: float) -> bool:
        """Stop everything; return whether both threads have ended what they did within the time.

        Args:
            last: done on the simulator's thread at the end.
            timeout_s: to wait; a model that is being loaded cannot be stopped.
        """
        self.stop.set()
        ends: list[Future[object]] = [self.simulator.submit(last), self.planner.submit(object)]
        for thread in (self.simulator, self.planner):
            thread.shutdown(wait=False)
        return not wait(ends, timeout_s).not_done


def check_ready(state: State) -> None:
    """Raise StudioError (409), in words, unless nothing goes on."""
    if state.status != "ready":
        raise conflict("busy", BUSY[state.status])


def _problem_of(work: Callable[..., object], *args: Any) -> str:
    """Do work, and return what was wrong, in words; "" if nothing was."""
    try:
        work(*args)
    except _FOR_PEOPLE as error:
        return sentence(str(error) or type(error).__name__)
    except Exception:
        log.exception("the studio failed")
        return sentence(INTERNAL.message)
    return ""


def sentence(text: str) -> str:
    """Return an error's message as a sentence of one line.

    >>> sentence("no picture there")
    'No picture there.'
    """
    line = " ".join(text.split())[:500]
    return f"{line[:1].upper()}{line[1:]}{'' if line.endswith('.') else '.'}"
