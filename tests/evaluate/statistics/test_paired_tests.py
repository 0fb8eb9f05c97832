from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.evaluate.statistics import holm, mcnemar, sign_flip_test


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


def exact_sign_flip(terms: np.ndarray) -> float:
    sums = [abs(np.dot(signs, terms)) for signs in product((1, -1), repeat=len(terms))]
    return float(np.mean([total >= abs(terms.sum()) - 1e-12 for total in sums]))


@pytest.mark.parametrize(
    "differences", [[1, 1, 1, 1, 1, 1], [1, -1, 1, 1, 0, 1], [1 / 3, -2 / 3, 1, 1 / 3, 1, 2 / 3, -1 / 3]]
)
def test_the_sign_flip_test_agrees_with_all_sign_vectors(differences):
    terms = np.array(differences, float)
    assert sign_flip_test(terms, np.full(len(terms), 1 / len(terms))) == pytest.approx(exact_sign_flip(terms), abs=5e-3)


def test_the_sign_flip_test_of_ones_is_mcnemars():
    """With differences of -1, 0, 1 and equal weights it is the exact McNemar test."""
    a, b = [True] * 12 + [False] * 4 + [True] * 9, [False] * 12 + [True] * 4 + [True] * 9
    differences = np.array(a, float) - np.array(b, float)
    assert sign_flip_test(differences, np.full(25, 1 / 25)) == pytest.approx(mcnemar(a, b)[2], abs=3e-3)


def test_the_sign_flip_test_is_seeded_symmetric_never_0_and_1_without_a_difference():
    rng, weights = np.random.default_rng(0), np.full(40, 1 / 40)
    differences = rng.normal(0.1, 1, 40)
    p = sign_flip_test(differences, weights, 2000, seed=3)
    assert p == sign_flip_test(differences, weights, 2000, seed=3) != sign_flip_test(differences, weights, 2000, seed=4)
    assert sign_flip_test(-differences, weights, 2000, seed=3) == p
    assert sign_flip_test(differences[::-1], weights, 2000, seed=3) == p
    assert sign_flip_test(np.ones(40), weights, 2000) == 1 / 2001
    assert sign_flip_test(np.zeros(40), weights) == 1


def test_the_sign_flip_tests_p_values_are_not_too_small():
    rng, weights = np.random.default_rng(0), np.full(30, 1 / 30)
    p_values = [sign_flip_test(rng.choice([-1.0, 0.0, 1.0], 30), weights, 400, seed=i) for i in range(300)]
    assert np.mean([p <= 0.1 for p in p_values]) < 0.15


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1, "b": 1}
    assert holm({}) == {}


def test_holm_keeps_the_error_of_several_hypotheses_below_its_level():
    rng = np.random.default_rng(0)
    wrong = [min(holm(dict(enumerate(rng.random(4)))).values()) <= 0.05 for _ in range(2000)]
    assert np.mean(wrong) < 0.065


@pytest.mark.parametrize("differences", [np.array([0.5, np.nan]), np.array([0.5])])
def test_a_sign_flip_test_of_what_was_not_measured_is_refused(differences):
    with pytest.raises(ValueError, match="needs finite differences and as many weights"):
        sign_flip_test(differences, np.full(2, 0.5))


def test_the_scale_of_the_weights_does_not_matter_to_the_sign_flip_test():
    differences, weights = np.array([1.0, 1.0, -1.0, 0.5, 1.0, 0.0]), np.full(6, 1 / 6)
    p = sign_flip_test(differences, weights, 2000)
    assert 0 < p < 1 and sign_flip_test(differences, 1e-9 * weights / 7, 2000) == p
