"""Outages of a planner's server, or of robot and simulator: noted by condition, never counted as results.

After a few in a row a run stops.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

IN_A_ROW = 3  # questions of a condition, each of which its backend has asked several times already
AGAIN = "run the same command again to go on"


class Outages:
    """Questions that could not be asked, or episodes that could not be measured, and why."""

    def __init__(self) -> None:
        self._reasons: dict[str, Counter[str]] = {}
        self._in_a_row: Counter[str] = Counter()

    def note(self, condition: str, reason: str) -> None:
        """Note one of a condition."""
        self._reasons.setdefault(condition, Counter())[reason] += 1
        self._in_a_row[condition] += 1

    def answered(self, condition: str) -> None:
        """Note that a condition was asked and answered."""
        self._in_a_row[condition] = 0

    def has_gone(self, condition: str) -> bool:
        """Return whether so many of a condition's questions failed one after the other that it is no use to go on."""
        return self._in_a_row[condition] >= IN_A_ROW

    @property
    def n(self) -> int:
        """How many there were."""
        return sum(reasons.total() for reasons in self._reasons.values())

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return {"n", "reasons": {reason: n}} by condition, of those that had any."""
        return {
            condition: {"n": reasons.total(), "reasons": dict(reasons)} for condition, reasons in self._reasons.items()
        }

    def in_words(self) -> str:
        """Return how many of which condition, and the commonest reason of each, as one line."""
        parts = [
            f"{condition} {reasons.total()}: {reasons.most_common(1)[0][0]}"
            for condition, reasons in self._reasons.items()
        ]
        return "; ".join(parts)
