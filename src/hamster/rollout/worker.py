"""Slow work beside a control loop: one task at a time, in a thread, submitted and collected without waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Finished(Generic[T]):
    """The result of a task: its value or the error that it raised, and how long it took."""

    value: T | None
    error: Exception | None
    seconds: float


def run_task(task: Callable[[], T]) -> Finished[T]:
    """Run a task and return its result, whether or not it raised an error."""
    started_s = time.perf_counter()
    value, error = None, None
    try:
        value = task()
    except Exception as raised:  # whatever a user's planner or policy raises: it belongs to whoever reads the result
        error = raised
    return Finished(value, error, time.perf_counter() - started_s)


class Worker(Generic[T]):
    """Runs tasks in a daemon thread, so that one that never returns blocks neither the loop nor the end of the process.

    All methods are for one thread, which submits and collects.

    Args:
        name: of the thread.
        clock: seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._submitted_s: float | None = None  # None: idle
        self._finished: Finished[T] | None = None  # all that the thread of the task writes
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it can take a task: there is none, and no result to collect."""
        return self._submitted_s is None

    @property
    def is_running(self) -> bool:
        """Whether a task has not finished yet."""
        return self._submitted_s is not None and self._finished is None

    @property
    def busy_s(self) -> float:
        """For how many seconds the present task has been running; 0 if there is none."""
        return 0.0 if self._submitted_s is None or not self.is_running else self._clock() - self._submitted_s

    def submit(self, task: Callable[[], T]) -> None:
        """Start a task; RuntimeError if there is one, or a result that nobody has collected."""
        if not self.is_idle:
            raise RuntimeError(f"the {self._name} is busy")
        self._submitted_s = self._clock()
        self._thread = threading.Thread(target=self._run, args=(task,), name=self._name, daemon=True)
        self._thread.start()

    def collect(self) -> Finished[T] | None:
        """Return the result of the last task, once; None while it runs, or there is none."""
        finished = self._finished
        if finished is not None:
            self._finished, self._submitted_s = None, None
        return finished

    def wait(self, timeout_s: float) -> bool:
        """Wait until no task is running, for so long at most; return whether none is."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _run(self, task: Callable[[], T]) -> None:
        self._finished = run_task(task)
