import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.planner.finetune.sampler import epoch_length, sample_order


@settings(max_examples=40)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 3))
def test_with_equal_weights_an_epoch_sees_every_sample_once(sizes, seed):
    n = sum(sizes)
    found = sample_order(sizes, [1.0] * len(sizes), 2 * n, seed)
    assert sorted(found[:n]) == sorted(found[n:]) == list(range(n))


def test_half_a_weight_is_half_the_samples_each_epoch_and_the_others_in_the_next():
    found = sample_order([40, 10], [0.5, 1.0], 60, 0)
    first, second = (set(part[part < 40].tolist()) for part in np.split(found, 2))
    assert len(first) == len(second) == 20 and first | second == set(range(40))
    assert all(sorted(part[part >= 40]) == list(range(40, 50)) for part in np.split(found, 2))
    assert epoch_length([40, 10], [0.5, 1.0]) == 30


def test_twice_the_weight_is_seen_twice():
    assert np.bincount(sample_order([5, 5], [2.0, 1.0], 15, 1)).tolist() == [2] * 5 + [1] * 5


def test_the_order_is_the_seeds_and_a_longer_run_begins_as_a_shorter_one():
    a = sample_order([50, 20], [1.0, 0.3], 200, 7)
    assert np.array_equal(a[:60], sample_order([50, 20], [1.0, 0.3], 60, 7))
    assert not np.array_equal(a, sample_order([50, 20], [1.0, 0.3], 200, 8))
    assert len(sample_order([3], [1.0], 0, 0)) == 0


def test_nothing_to_draw_from_is_an_error_and_no_endless_loop():
    with pytest.raises(ValueError, match="nothing to learn from"):
        sample_order([0, 3], [1.0, 0.1], 10, 0)
