"""Stop a robot when commands fail to come: a thread of its own, the only one that calls the robot's `stop`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

COMMAND_TIMEOUT_S = 0.1
POLL_SHARE = 0.1
"""Of the timeout: how often the time is looked at. The stop comes that much early, so that it is never late."""


class Watchdog:
    """Stops a robot once there was no valid command for too long, or on request; it stays stopped until `reset`.

    `stop` of the robot is called again until it returns without an error. A request for a stop does not wait for it.
    The log is written after the stop: one that blocks or fails, on a full disk or a held terminal, delays no stop.

    A thread of Python cannot run while an extension holds the interpreter's lock. The controller of a robot needs a
    timeout of its own for that, and for the loss of this whole process.

    Args:
        stop: of the robot.
        timeout_s: from the last command to the call of `stop`.
        log: called with the name of an event and its details.
        clock: seconds; a clock that steps back counts as a timeout.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        timeout_s: float = COMMAND_TIMEOUT_S,
        log: Callable[..., None] = lambda event, **details: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < timeout_s < float("inf"):
            raise ValueError(f"the timeout of commands must be finite and > 0, got {timeout_s} s")
        self._stop, self._timeout_s, self._log, self._clock = stop, timeout_s, log, clock
        self._poll_s = timeout_s * POLL_SHARE
        self._condition = threading.Condition()
        self._fed_s: float | None = None  # the time of the last command; None while there need not be any
        self._reason: str | None = None
        self._stop_requested = self._closed = False
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    @property
    def reason(self) -> str | None:
        """Why the robot was stopped; None while it is not."""
        return self._reason

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def feed(self) -> None:
        """Note that a valid command was sent now; from the first one on the next is expected within the timeout."""
        with self._condition:
            self._fed_s = self._clock()

    def trip(self, reason: str) -> None:
        """Have the robot stopped at once. The first reason is kept."""
        if self._latch(reason):
            self._log_event("stop", reason=reason)

    def _latch(self, reason: str) -> bool:
        """Request a stop of the thread; return whether this is the first reason."""
        with self._condition:
            is_first = self._reason is None
            if is_first:
                self._reason = reason
            self._fed_s = None
            self._stop_requested = True
            self._is_stopped.clear()
            self._condition.notify_all()
        return is_first

    def wait_stopped(self, timeout_s: float) -> bool:
        """Wait until the robot's `stop` has returned after the last `trip`; return whether it has."""
        return self._is_stopped.wait(timeout_s)

    def reset(self) -> None:
        """Allow commands again; RuntimeError while the robot is not known to be stopped."""
        with self._condition:
            if self._reason is not None and not self._is_stopped.is_set():
                raise RuntimeError("the robot has not confirmed its stop yet: it cannot be reset")
            reason, self._reason, self._fed_s = self._reason, None, None
        if reason is not None:
            self._log_event("reset", reason=reason)

    def check(self) -> None:
        """Trip if the last command is too long ago."""
        if (reason := self._overdue()) is not None:
            self.trip(reason)

    def _overdue(self) -> str | None:
        with self._condition:
            if self._fed_s is None:
                return None
            elapsed_s = self._clock() - self._fed_s
        if elapsed_s < 0:
            return f"the clock stepped back by {-elapsed_s:.3f} s"
        if not elapsed_s < self._timeout_s - 2 * self._poll_s:  # NaN counts as a timeout, too
            return f"no valid command for {elapsed_s:.3f} s (timeout {self._timeout_s:g} s)"
        return None

    def close(self) -> None:
        """End the thread; a stop that was requested is still carried out."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._stop_requested:
                    if self._closed:
                        return
                    self._condition.wait(self._poll_s)
                is_requested = self._stop_requested
            reason = None if is_requested else self._overdue()
            is_first = reason is not None and self._latch(reason)
            if is_requested or reason is not None:
                self._stop_robot(reason if is_first else None)

    def _stop_robot(self, reason_to_log: str | None) -> None:
        """Call the robot's `stop` once, and write the log afterwards."""
        with self._condition:
            self._stop_requested = False
        failure = ""
        try:
            self._stop()
        except Exception as error:  # whatever a driver raises: the robot may still be moving
            failure = f"{type(error).__name__}: {error}"
        with self._condition:
            if failure:
                self._stop_requested = True
            elif not self._stop_requested:
                self._is_stopped.set()
        if reason_to_log is not None:
            self._log_event("stop", reason=reason_to_log)
        if not failure:
            self._log_event("stopped")
            return
        self._log_event("stop_failed", reason=failure)
        with self._condition:
            self._condition.wait(self._poll_s)

    def _log_event(self, event: str, **details: str) -> None:
        with suppress(Exception):  # a robot that moves is worse than a line that is lost
            self._log(event, **details)
