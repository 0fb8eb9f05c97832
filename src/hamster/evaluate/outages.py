"""Outages of a planner's server, a robot or a simulator: recorded by condition, never counted as results.

After several in a row a run stops.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

IN_A_ROW = 3  # failed requests of a condition, each of which its backend has retried already
AGAIN = "run the same command again to go on"


class Outages:
    """Counts requests that got no response, or episodes that could not be measured, with the reasons."""

    def __init__(self) -> None:
        self._reasons: dict[str, Counter[str]] = {}
        self._in_a_row: Counter[str] = Counter()

    def note(self, condition: str, reason: str) -> None:
        """Record an outage of a condition."""
        self._reasons.setdefault(condition, Counter())[reason] += 1
        self._in_a_row[condition] += 1

    def answered(self, condition: str) -> None:
        """Record that a condition responded."""
        self._in_a_row[condition] = 0

    def is_down(self, condition: str) -> bool:
        """Return whether `IN_A_ROW` requests of a condition in a row have failed, so that the run should stop."""
        return self._in_a_row[condition] >= IN_A_ROW

    @property
    def n(self) -> int:
        """The number of outages of all conditions."""
        return sum(reasons.total() for reasons in self._reasons.values())

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return {"n", "reasons": {reason: n}} by condition, for conditions with outages."""
        return {
            condition: {"n": reasons.total(), "reasons": dict(reasons)} for condition, reasons in self._reasons.items()
        }

    def summary(self) -> str:
        """Return one line: the number of outages of each condition, and its most frequent reason."""
        parts = [
            f"{condition} {reasons.total()}: {reasons.most_common(1)[0][0]}"
            for condition, reasons in self._reasons.items()
        ]
        return "; ".join(parts)
