"""Two implementations timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Speed-up of `fast` over `slow`, from medians of `n` turns.

    Attributes:
        name: of the comparison.
        slow: name of the slower implementation.
        fast: name of the faster implementation.
        slow_s: median wall-clock seconds of the slower one.
        fast_s: median wall-clock seconds of the faster one.
        limit: smallest acceptable ratio.
        n: number of turns.
    """

    name: str
    slow: str
    fast: str
    slow_s: float
    fast_s: float
    limit: float
    n: int

    @property
    def ratio(self) -> float:
        """slow_s / fast_s."""
        return self.slow_s / max(self.fast_s, 1e-12)

    def to_json(self) -> dict[str, Any]:
        """Return all fields, the ratio and whether it holds."""
        return {**asdict(self), "ratio": self.ratio, "holds": self.ratio >= self.limit}


def compare(
    name: str,
    slow: tuple[str, Callable[[], object]],
    fast: tuple[str, Callable[[], object]],
    limit: float,
    n: int = 5,
    warm_up: int = 1,
) -> Ratio:
    """Time two functions in turn, so that other load on the machine affects both alike.

    Args:
        name: of the comparison.
        slow: name and function of the slower one.
        fast: name and function of the faster one.
        limit: smallest acceptable ratio.
        n: number of timed turns.
        warm_up: number of turns before.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(warm_up + n):
        for (_, work), times in zip((slow, fast), seconds, strict=True):
            start = time.perf_counter()
            work()
            if turn >= warm_up:
                times.append(time.perf_counter() - start)
    return Ratio(name, slow[0], fast[0], median(seconds[0]), median(seconds[1]), limit, n)
