from __future__ import annotations

from itertools import product
from math import comb
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.evaluate.statistics import bootstrap, clopper_pearson, two_way_bootstrap, wilson
from hamster.evaluate.statistics.intervals import Z95

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


# scipy.stats.binomtest(k, n).proportion_ci(0.95, "exact"), scipy 1.16
@pytest.mark.parametrize(
    ("n_success", "n", "low", "high"),
    [
        (7, 10, 0.347547, 0.93326),
        (60, 120, 0.407369, 0.592631),
        (118, 120, 0.941091, 0.997975),
        (1, 3, 0.008404, 0.905701),
        (313, 840, 0.339823, 0.406312),
        (840, 840, 0.995618, 1.0),
        (0, 20, 0.0, 0.168433),
    ],
)
def test_clopper_pearson_known_values(n_success, n, low, high):
    assert clopper_pearson(n_success, n) == pytest.approx((low, high), abs=1e-6)


def test_clopper_pearson_covers_every_rate_at_least_as_often_as_it_says():
    n = 40
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    for rate in np.linspace(0.01, 0.99, 25):
        weights = [comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
        covered = sum(w for w, (low, high) in zip(weights, intervals, strict=True) if low <= rate <= high)
        assert 0.95 <= covered <= 1


@pytest.mark.parametrize("count", [(0, 0), (-1, 5), (6, 5)])
def test_clopper_pearson_refuses_impossible_counts(count):
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(*count)


def test_the_bootstraps_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap(rng.normal(3, 1, 40).tolist(), mean, resamples=200, seed=i) for i in range(200)]
    assert 0.88 < np.mean([low <= 3 <= high for low, high in intervals]) < 0.99


def test_the_bootstrap_of_equal_values_is_that_value_and_of_none_an_error():
    assert bootstrap([2.5] * 4, mean) == (2.5, 2.5)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([], mean)


def outcomes(rng, n: int, seeds: int, rate: float, between_seeds: float) -> np.ndarray:
    """Return successes (n, seeds), whose rate differs between training seeds."""
    rates = np.clip(rng.normal(rate, between_seeds, seeds), 0, 1)
    return (rng.random((n, seeds)) < rates).astype(float)


def test_the_two_way_bootstrap_covers_the_true_difference_of_arms_whose_seeds_differ():
    rng = np.random.default_rng(0)
    strata, weights, covered, only_scenes = [i % 3 for i in range(60)], np.full(60, 1 / 60), 0, 0
    for i in range(150):
        arm, rival = outcomes(rng, 60, 8, 0.7, 0.1), outcomes(rng, 60, 8, 0.5, 0.1)
        low, high = two_way_bootstrap(arm, rival, strata, weights, resamples=200, seed=i)
        covered += low <= 0.2 <= high
        means = [a.mean(axis=1, keepdims=True) for a in (arm, rival)]
        low, high = two_way_bootstrap(*means, strata, weights, resamples=200, seed=i)
        only_scenes += low <= 0.2 <= high
    assert covered / 150 > 0.9
    assert only_scenes < 0.85 * covered  # which is why seeds are resampled, too


def test_the_two_way_bootstrap_of_one_seed_and_one_stratum_has_the_spread_of_a_mean():
    scores = np.repeat([1.0, 0.0], 100)[:, None]
    low, high = two_way_bootstrap(scores, None, ["all"] * 200, np.full(200, 1 / 200))
    assert (low, high) == pytest.approx((0.5 - Z95 * np.sqrt(0.25 / 200), 0.5 + Z95 * np.sqrt(0.25 / 200)), abs=0.006)


def test_scenes_are_resampled_within_their_strata():
    """Strata without variance leave nothing to resample; their weights set the mean."""
    scores, weights = np.array([[1.0], [1.0], [0.0]]), np.array([0.25, 0.25, 0.5])
    assert two_way_bootstrap(scores, None, ["a", "a", "b"], weights) == (0.5, 0.5)


def test_the_same_scenes_are_drawn_for_both_arms():
    """Arms that agree on every scene differ by nothing, whatever scenes are drawn."""
    scores = np.random.default_rng(0).integers(0, 2, (50, 1)).astype(float)
    assert two_way_bootstrap(scores, scores, ["all"] * 50, np.full(50, 1 / 50)) == (0, 0)


def test_the_two_way_bootstrap_refuses_scores_of_other_scenes():
    with pytest.raises(ValueError, match="as many scores as strata"):
        two_way_bootstrap(np.ones((3, 1)), np.ones((2, 1)), ["a"] * 3, np.full(3, 1 / 3))
