"""Confidence intervals of rates, of other statistics, and of differences over scenes and training seeds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import lgamma, log, log1p, sqrt
from random import Random

import numpy as np
from numpy.typing import NDArray

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


def clopper_pearson(n_success: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate, (low, high) in [0, 1] (C. J. Clopper and E. S. Pearson, 1934).

    It covers the truth at least as often as its level says, for every rate and n.

    Args:
        n_success: number of successes.
        n: number of trials.
        level: of confidence, in (0, 1).

    Raises:
        ValueError: if not 0 <= n_success <= n, n >= 1.
    """
    if not (n >= 1 and 0 <= n_success <= n):
        raise ValueError(f"needs 0 <= successes <= n, n >= 1, got {n_success} of {n}")
    tail = (1 - level) / 2
    low = 0.0 if n_success == 0 else 1 - _upper_limit(n - n_success, n, tail)
    high = 1.0 if n_success == n else _upper_limit(n_success, n, tail)
    return low, high


def _upper_limit(n_success: int, n: int, tail: float) -> float:
    """Return the rate with which `n_success` or fewer of n, where n_success < n, have the probability `tail`."""
    k = np.arange(n_success + 1)
    log_choices = np.array([lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) for i in k])
    low, high = 0.0, 1.0
    for _ in range(60):  # halvings of the interval: more than a double has digits
        rate = (low + high) / 2
        probability = np.exp(log_choices + k * log(rate) + (n - k) * log1p(-rate)).sum()
        low, high = (rate, high) if probability > tail else (low, rate)
    return (low + high) / 2


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


def two_way_bootstrap(
    arm: NDArray[np.float64],
    rival: NDArray[np.float64] | None,
    strata: Sequence[Hashable],
    weights: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of an arm's weighted mean, or of its difference from a rival's.

    Each resample draws scenes with replacement within their strata, the same for both arms, and training seeds with
    replacement, of each arm by itself (A. B. Owen, "The pigeonhole bootstrap", 2007). With one training seed the
    interval says nothing about other trainings; with K it understates their variance by a factor of (K - 1) / K.

    Args:
        arm: (scenes, training seeds) scores.
        rival: (scenes, training seeds of the rival), or None.
        strata: one per scene.
        weights: (scenes,) the weight of each scene in the sum, the same within a stratum; 1 / scenes for a mean.
        level: of confidence, in (0, 1).
        resamples: number of resamples.
        seed: of the draws.

    Raises:
        ValueError: if there is no scene, or the shapes differ.
    """
    arms = [arm] if rival is None else [arm, rival]
    n = len(strata)
    if n == 0 or weights.shape != (n,) or any(item.ndim != 2 or len(item) != n for item in arms):
        raise ValueError(
            f"a bootstrap of scenes needs as many scores as strata and weights, got "
            f"{', '.join(str(item.shape) for item in arms)}, {n}, {weights.shape}"
        )
    rng, scores = np.random.default_rng(seed), np.concatenate(arms, axis=1)
    members: dict[Hashable, list[int]] = {}
    for i, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(i)
    sums = np.zeros((resamples, scores.shape[1]))
    for index in members.values():
        # Scenes with the same scores are drawn together: with few training seeds there are few different ones.
        rows, counts = np.unique(scores[index], axis=0, return_counts=True)
        sums += weights[index[0]] * rng.multinomial(len(index), counts / len(index), resamples) @ rows
    estimates, start = np.zeros(resamples), 0
    for n_seeds, sign in zip((item.shape[1] for item in arms), (1, -1), strict=False):
        drawn = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), resamples) / n_seeds
        estimates += sign * (sums[:, start : start + n_seeds] * drawn).sum(axis=1)
        start += n_seeds
    low, high = np.quantile(estimates, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return low, high
