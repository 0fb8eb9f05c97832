"""Two ways of doing the same thing, timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """How often `fast` fits into `slow`; medians of `n` turns, wall-clock seconds.

    Attributes:
        name: of the comparison. slow, fast: what was timed.
        wanted: the least ratio that we promise.
    """

    name: str
    slow: str
    fast: str
    slow_s: float
    fast_s: float
    wanted: float
    n: int

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return self.slow_s / max(self.fast_s, 1e-12)

    def to_json(self) -> dict[str, Any]:
        """All fields, and the ratio."""
        return {**asdict(self), "ratio": self.ratio, "holds": self.ratio >= self.wanted}


def compare(
    name: str,
    slow: tuple[str, Callable[[], object]],
    fast: tuple[str, Callable[[], object]],
    wanted: float,
    n: int = 5,
    warm_up: int = 1,
) -> Ratio:
    """Calls each a few times to warm up, then n times in turn, so that whatever the machine does meets both alike."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(warm_up + n):
        for (_, work), times in zip((slow, fast), seconds, strict=True):
            start = time.perf_counter()
            work()
            if turn >= warm_up:
                times.append(time.perf_counter() - start)
    return Ratio(name, slow[0], fast[0], median(seconds[0]), median(seconds[1]), wanted, n)
