"""How sure one can be of a success rate, and of a difference between two conditions on the same scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, sqrt
from random import Random

Z95 = 1.959963984540054  # the standard normal's 97.5 % point


def wilson(n_success: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a rate, as (low, high) in [0, 1] (E. B. Wilson, 1927).

    Unlike mean ± 2σ it stays inside [0, 1] and says something sensible at 0 of n and n of n.

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
    """The exact, two-sided McNemar test of two conditions on the same scenes, in the same order.

    Scenes on which both agree say nothing about the difference; of the others, each would win half if both conditions
    were equally good.

    Returns:
        scenes that only a solved, scenes that only b solved, p-value.
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
    """The percentile interval of a statistic, 95 % (B. Efron, 1979): it is computed again on samples of the sample.

    Raises:
        ValueError: of nothing.
    """
    if not values:
        raise ValueError("a bootstrap needs at least one value")
    draw = Random(seed)
    found = [statistic(draw.choices(values, k=len(values))) for _ in range(resamples)]
    return quantile(found, 0.025), quantile(found, 0.975)


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile, 0 <= q <= 1, interpolated; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
