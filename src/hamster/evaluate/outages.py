"""Outages of a planner's server, or of robot and simulator: noted by arm, never counted as results.

After a few in a row a run stops.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

IN_A_ROW = 3  # questions of an arm, each of which its backend has asked several times already
AGAIN = "run the same command again to go on"


class Outages:
    """Questions that could not be asked, or episodes that could not be measured, and why."""

    def __init__(self) -> None:
        self._reasons: dict[str, Counter[str]] = {}
        self._in_a_row: Counter[str] = Counter()

    def note(self, arm: str, reason: str) -> None:
        """Note one of an arm."""
        self._reasons.setdefault(arm, Counter())[reason] += 1
        self._in_a_row[arm] += 1

    def answered(self, arm: str) -> None:
        """Note that an arm was asked and answered."""
        self._in_a_row[arm] = 0

    def has_gone(self, arm: str) -> bool:
        """Return whether so many of an arm's questions failed one after the other that it is no use to go on."""
        return self._in_a_row[arm] >= IN_A_ROW

    @property
    def n(self) -> int:
        """How many there were."""
        return sum(reasons.total() for reasons in self._reasons.values())

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return {"n", "reasons": {reason: n}} by arm, of those that had any."""
        return {arm: {"n": reasons.total(), "reasons": dict(reasons)} for arm, reasons in self._reasons.items()}

    def in_words(self) -> str:
        """Return how many of which arm, and the commonest reason of each, as one line."""
        parts = [f"{arm} {reasons.total()}: {reasons.most_common(1)[0][0]}" for arm, reasons in self._reasons.items()]
        return "; ".join(parts)
