from __future__ import annotations

import numpy as np
import pytest

from hamster.evaluate.statistics import ConfidenceSequence
from hamster.evaluate.statistics.intervals import Z95

RATES = ((0.9, 0.5), (0.6, 0.5), (0.3, 0.5))  # of two arms, by stratum: the mean difference is 0.1
TRUTH = 0.1


def block(rng) -> np.ndarray:
    """Return the differences of 24 scenes, 8 of each stratum."""
    a, b = (np.repeat([rates[arm] for rates in RATES], 8) for arm in (0, 1))
    return (rng.random(24) < a).astype(float) - (rng.random(24) < b)


def test_the_sequence_covers_the_truth_at_every_look_and_repeated_normal_intervals_do_not():
    rng, missed, naive_missed = np.random.default_rng(0), 0, 0
    for _ in range(150):
        sequence, values, missed_now, naive_now = ConfidenceSequence(0.1), np.empty(0), False, False
        for _ in range(8):
            new = block(rng)
            sequence.add_block(new)
            values = np.concatenate([values, new])
            low, high = sequence.interval
            missed_now |= not low <= TRUTH <= high
            naive_now |= abs(values.mean() - TRUTH) > 1.645 * values.std() / np.sqrt(len(values))
        missed, naive_missed = missed + missed_now, naive_missed + naive_now
    assert missed / 150 <= 0.1
    assert naive_missed / 150 > 0.15


def test_a_large_difference_is_decided_early_and_none_never():
    rng = np.random.default_rng(1)
    large, none = ConfidenceSequence(0.0125), ConfidenceSequence(0.0125)
    for number in range(5):  # a block of each of seven axes
        large.add_block((rng.random(168) < 0.7).astype(float) - (rng.random(168) < 0.3))
        none.add_block((rng.random(168) < 0.5).astype(float) - (rng.random(168) < 0.5))
        if number == 2:
            assert large.interval[0] > 0
    assert large.is_decided(0.15) and large.p < 1e-6
    assert not none.is_decided(0.15) and none.interval[0] < 0 < none.interval[1] and none.p > 0.0125


def test_the_interval_narrows_only_and_is_nearly_as_narrow_as_a_normal_one():
    rng, sequence, before = np.random.default_rng(2), ConfidenceSequence(0.05), (-1.0, 1.0)
    values = np.empty(0)
    for _ in range(35):
        values = np.concatenate([values, new := block(rng)])
        sequence.add_block(new)
        assert before[0] <= sequence.interval[0] <= sequence.interval[1] <= before[1]
        before = sequence.interval
    assert sequence.n == 840
    assert before[1] - before[0] < 4 * Z95 * values.std() / np.sqrt(840)


def test_the_sequence_is_symmetric():
    values = np.random.default_rng(3).uniform(-1, 1, 48)
    a, b = ConfidenceSequence(0.05), ConfidenceSequence(0.05)
    a.add_block(values), b.add_block(-values)
    assert a.interval == pytest.approx((-b.interval[1], -b.interval[0])) and a.p == pytest.approx(b.p)


@pytest.mark.parametrize("values", [[], [1.5], [np.nan]])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match="in \\[-1, 1\\]"):
        ConfidenceSequence(0.05).add_block(np.array(values, float))


def test_a_level_that_is_none_is_refused():
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        ConfidenceSequence(0)
