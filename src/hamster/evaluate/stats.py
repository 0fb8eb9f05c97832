"""Confidence intervals of rates and statistics, and the McNemar test of two conditions on the same scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, sqrt
from random import Random

import numpy as np

Z95 = 1.959963984540054  # the standard normal's 97.5 % point


def wilson(n_success: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, (low, high) in [0, 1] (E. B. Wilson, 1927).

    Unlike mean ± 2σ it stays inside [0, 1] and is sensible at 0 of n and n of n.

    Args:
        n_success: number of successes.
        n: number of trials.
        z: quantile of the standard normal; the default gives a 95 % interval.

    Raises:
        ValueError: if not 0 <= n_success <= n, n >= 1.
    """
    if not (n >= 1 and 0 <= n_success <= n):
        raise ValueError(f"needs 0 <= successes <= n, n >= 1, got {n_success} of {n}")
    rate = n_success / n
    centre = rate + z * z / (2 * n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Exactly 0 and 1 at the ends, where rounding would miss them by an ulp.
    low = 0.0 if n_success == 0 else (centre - half) / scale
    high = 1.0 if n_success == n else (centre + half) / scale
    return low, high


def mcnemar(successes_a: Sequence[bool], successes_b: Sequence[bool]) -> tuple[int, int, float]:
    """Compute the exact, two-sided McNemar test of two conditions on the same scenes, in the same order.

    Scenes on which both agree carry no information about the difference; under the null hypothesis each condition
    solves half of the others.

    Returns:
        number of scenes that only a solved, number that only b solved, p-value.
    """
    pairs = list(zip(successes_a, successes_b, strict=True))
    only_a = sum(a and not b for a, b in pairs)
    only_b = sum(b and not a for a, b in pairs)
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    return only_a, only_b, min(1.0, 2 * tail)


def bootstrap(
    values: Sequence[float], statistic: Callable[[Sequence[float]], float], resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic (B. Efron, 1979).

    Args:
        values: the sample.
        statistic: of a sample of the same size.
        resamples: number of samples drawn with replacement.
        seed: of the draws.

    Raises:
        ValueError: if there are no values.
    """
    if not values:
        raise ValueError("a bootstrap needs at least one value")
    rng = Random(seed)
    estimates = [statistic(rng.choices(values, k=len(values))) for _ in range(resamples)]
    low, high = np.quantile(estimates, (0.025, 0.975)).tolist()
    return low, high
