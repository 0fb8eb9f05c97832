"""A confidence sequence of paired differences: an interval that holds at every look, so that a run may stop early."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

GRID = np.linspace(0, 1, 2001)  # candidate means of (difference + 1) / 2: a tenth of a point apart


class ConfidenceSequence:
    """Betting confidence sequence of a mean difference in [-1, 1].

    I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", 2024: the hedged capital
    process with predictable plug-in bets. The bets are fixed for a whole block and the sequence is looked at between
    blocks only. With the same scenes per stratum in every block, the capital against the true mean then cannot grow in
    expectation, by the inequality of arithmetic and geometric means, although strata have different means.

    Args:
        alpha: probability that the interval ever excludes the true mean.

    >>> sequence = ConfidenceSequence(0.05)
    >>> sequence.add_block(np.full(48, 0.5))
    >>> low, high = sequence.interval
    >>> low < 0.5 < high
    True
    """

    def __init__(self, alpha: float) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        self.alpha = alpha
        self._inside = np.ones(len(GRID), bool)
        self._log_up, self._log_down = np.zeros(len(GRID)), np.zeros(len(GRID))
        self._values = np.empty(0)
        self._max_log_capital_at_0 = 0.0

    @property
    def n(self) -> int:
        """The number of differences."""
        return len(self._values)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval (low, high) in [-1, 1]: what no look so far has excluded."""
        inside = np.flatnonzero(self._inside)
        low, high = max(inside[0] - 1, 0), min(inside[-1] + 1, len(GRID) - 1)  # its ends are between two candidates
        return float(2 * GRID[low] - 1), float(2 * GRID[high] - 1)

    @property
    def p(self) -> float:
        """A p-value of "the mean difference is 0" that holds at every look."""
        return float(np.exp(-self._max_log_capital_at_0))

    def add_block(self, differences: NDArray[np.float64]) -> None:
        """Update the interval with a block of scenes.

        Args:
            differences: (scenes,) in [-1, 1], with the same number of scenes of each stratum in every block.

        Raises:
            ValueError: if a difference is out of range, or there are none.
        """
        if differences.ndim != 1 or len(differences) == 0 or not (np.abs(differences) <= 1).all():
            raise ValueError("a block needs one or several differences in [-1, 1]")
        values = (differences + 1) / 2
        bet = self._bet(self.n + len(values))
        with np.errstate(divide="ignore"):
            up, down = np.minimum(bet, 0.5 / GRID), np.minimum(bet, 0.5 / (1 - GRID))
        gaps = values[:, None] - GRID
        self._log_up += np.log1p(up * gaps).sum(axis=0)
        self._log_down += np.log1p(-down * gaps).sum(axis=0)
        log_capital = np.maximum(self._log_up, self._log_down) - log(2)  # half of the capital on each side
        inside = self._inside & (log_capital < log(1 / self.alpha))
        if inside.any():  # else the true mean was excluded before
            self._inside = inside
        self._max_log_capital_at_0 = max(self._max_log_capital_at_0, float(log_capital[len(GRID) // 2]))
        self._values = np.concatenate([self._values, values])

    def _bet(self, n: int) -> float:
        """Return the bet of a block that ends at n values, from the variance of the values before it."""
        mean = (0.5 + self._values.sum()) / (1 + self.n)
        variance = (0.25 + ((self._values - mean) ** 2).sum()) / (1 + self.n)
        return sqrt(2 * log(2 / self.alpha) / (variance * n * log(1 + n)))

    def is_decided(self, half_width: float) -> bool:
        """Return whether the interval excludes 0 and its half width is below this one."""
        low, high = self.interval
        return (low > 0 or high < 0) and (high - low) / 2 < half_width
