from __future__ import annotations

from itertools import product
from math import comb
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.evaluate.stats import Z95, bootstrap, mcnemar, wilson

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("n_success", "n", "low", "high"),
    [(7, 10, 39.7, 89.2), (14, 20, 48.1, 85.5), (35, 50, 56.2, 80.9), (140, 200, 63.3, 75.9), (0, 20, 0.0, 16.1)],
)
def test_wilson_known_values(n_success, n, low, high):
    assert np.round(100 * np.array(wilson(n_success, n)), 1).tolist() == [low, high]


@given(counts)
def test_wilson_bounds_solve_its_equation(count):
    n_success, n = count
    rate = n_success / n
    for bound in wilson(n_success, n):
        assert (rate - bound) ** 2 == pytest.approx(Z95**2 * bound * (1 - bound) / n, abs=1e-9)


@given(counts)
def test_wilson_contains_the_rate_stays_in_range_and_is_symmetric(count):
    n_success, n = count
    low, high = wilson(n_success, n)
    assert 0 <= low <= n_success / n <= high <= 1
    assert wilson(n - n_success, n) == pytest.approx((1 - high, 1 - low))


def test_wilson_covers_the_truth_about_as_often_as_it_says():
    for rate, n in product((0.1, 0.5, 0.8), (21, 200)):
        weights = [comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
        covered = sum(w for k, w in enumerate(weights) if wilson(k, n)[0] <= rate <= wilson(k, n)[1])
        assert 0.92 < covered < 0.98


@pytest.mark.parametrize("count", [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(count):
    with pytest.raises(ValueError, match="successes"):
        wilson(*count)


def test_mcnemar_by_hand():
    assert mcnemar([True] * 6, [False] * 6) == (6, 0, 2 / 64)
    assert mcnemar([True, False, True], [True, False, True]) == (0, 0, 1.0)
    assert mcnemar([True] * 5 + [False], [False] * 5 + [True]) == (5, 1, pytest.approx(2 * 7 / 64))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_mcnemar_is_symmetric_ignores_agreement_and_is_a_probability(pairs):
    a, b = zip(*pairs, strict=True)
    only_a, only_b, p = mcnemar(a, b)
    assert mcnemar(b, a) == (only_b, only_a, p) and 0 < p <= 1
    assert mcnemar([*a, True, False], [*b, True, False]) == (only_a, only_b, p)


def test_mcnemar_is_exact():
    """Under the null hypothesis a p-value of at most 0.05 turns up in at most 5 % of cases."""
    n = 12
    outcomes = [mcnemar([True] * k + [False] * (n - k), [False] * k + [True] * (n - k))[2] for k in range(n + 1)]
    assert sum(comb(n, k) / 2**n for k, p in enumerate(outcomes) if p <= 0.05) <= 0.05


def test_the_bootstraps_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap(rng.normal(3, 1, 40).tolist(), mean, resamples=200, seed=i) for i in range(200)]
    assert 0.88 < np.mean([low <= 3 <= high for low, high in intervals]) < 0.99


def test_the_bootstrap_of_equal_values_is_that_value_and_of_none_an_error():
    assert bootstrap([2.5] * 4, mean) == (2.5, 2.5)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([], mean)
