"""Tests of two arms on the same scenes, and Holm's correction of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Name = TypeVar("Name")


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


def sign_flip_test(
    differences: NDArray[np.float64], weights: NDArray[np.float64], permutations: int = 100_000, seed: int = 0
) -> float:
    """Return the two-sided p-value of a weighted mean of paired differences, by flipping their signs at random.

    Under the null hypothesis the two arms are exchangeable on every scene. The p-value counts the observed signs as one
    of the permutations, so it is never 0 (B. Phipson and G. K. Smyth, 2010).

    Args:
        differences: (scenes,) of the arms' mean scores.
        weights: (scenes,) the weight of each scene in the mean.
        permutations: number of sign vectors drawn.
        seed: of the draws.

    Raises:
        ValueError: if there are not as many weights as differences, or a number is not finite.
    """
    if differences.shape != weights.shape or not np.isfinite([differences, weights]).all():
        raise ValueError(f"needs finite differences and as many weights, got {differences.shape} and {weights.shape}")
    terms = differences * weights
    if not terms.any():
        return 1.0
    terms /= np.abs(terms).max()  # rounded below: many scenes have small weights
    # Terms of the same size are flipped together: the number of their plus signs is binomial.
    sizes, counts = np.unique(np.round(np.abs(terms), 12), return_counts=True)
    observed = abs(float(terms.sum())) * (1 - 1e-9)  # ties count, whatever the order of summation
    n_plus = np.random.default_rng(seed).binomial(counts, 0.5, (permutations, len(counts)))
    n_as_extreme = int((np.abs((2 * n_plus - counts) @ sizes) >= observed).sum())
    return (1 + n_as_extreme) / (1 + permutations)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Return p-values adjusted for the number of hypotheses (S. Holm, 1979), in the order given.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
