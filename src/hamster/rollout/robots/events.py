"""The log of a run: one JSON object per line, written as it happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events to a file, from any thread; each line is on its way to the disk when the call returns.

    A file or a terminal that cannot be written, such as on a full disk, raises nothing in the threads that run a robot:
    the event stays in `events`, and `error` says why.

    Args:
        file: to append to; None keeps the events in memory only.
        clock: seconds; times in the log are relative to the first reading.
        show: called with each line of text for a person.
    """

    def __init__(
        self,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._clock, self._show, self._started_s = clock, show, clock()
        self._stream = None if file is None else file.open("a", encoding="utf-8")
        self.events: list[dict[str, Any]] = []
        self.error = ""  # of the first line that could not be written

    def __call__(self, event: str, **details: Any) -> None:
        """Log an event with its details, plain JSON values."""
        entry = {
            "time_s": round(self._clock() - self._started_s, 4),
            "utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **details,
        }
        with self._lock:
            self.events.append(entry)
            try:
                if self._stream is not None and not self._stream.closed:
                    self._stream.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")
                    self._stream.flush()
            except (OSError, ValueError) as error:  # ValueError: text that UTF-8 cannot hold
                self.error = self.error or f"{type(error).__name__}: {error}"
        if self._show is not None:
            text = "  ".join(f"{name} {value}" for name, value in details.items())
            try:
                self._show(f"{entry['time_s']:8.3f} s  {event}  {text}".rstrip())
            except (OSError, ValueError) as error:
                self.error = self.error or f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Close the file; later events are kept in memory only."""
        with self._lock:
            if self._stream is not None:
                try:
                    self._stream.close()
                except OSError as error:  # what had been waiting for room on the disk
                    self.error = self.error or f"{type(error).__name__}: {error}"
