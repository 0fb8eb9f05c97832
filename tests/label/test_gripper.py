import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.label import gripper_events
from hamster.label.gripper import with_start
from hamster.path import Gripper

C, O = Gripper.CLOSED, Gripper.OPEN  # noqa: E741


def test_a_command_counts_from_its_first_frame():
    assert gripper_events([1, 1, 0, 0, 1]) == [(2, C), (4, O)]
    assert gripper_events(np.array([True, False])) == [(1, C)]


def test_a_measured_opening_counts_from_where_it_starts_to_move():
    assert gripper_events([1, 1, 0.95, 0.7, 0.4, 0.4, 0.4, 0.6, 0.9, 1]) == [(1, C), (6, O)]


def test_closing_on_something_wide_counts():
    assert gripper_events([0.98, 0.97, 0.9, 0.75, 0.75, 0.75, 0.9, 0.98]) == [(0, C), (5, O)]


def test_an_unchanged_gripper_has_no_events():
    assert gripper_events([0.3] * 20) == gripper_events([1.0]) == []


@given(st.lists(st.floats(-0.05, 0.05), min_size=5, max_size=50), st.sampled_from([0.1, 0.5, 0.9]))
def test_noise_is_no_event(noise, level):
    assert gripper_events(level + np.array(noise)) == []


@given(st.integers(0, 2**32 - 1))
def test_events_survive_noise(seed):
    rng = np.random.default_rng(seed)
    clean = np.concatenate([np.ones(10), np.linspace(1, 0.4, 6), np.full(12, 0.4), np.linspace(0.4, 1, 6), np.ones(5)])
    events = gripper_events(clean + rng.uniform(-0.03, 0.03, len(clean)))
    assert [state for _, state in events] == [C, O]
    assert [frame for frame, _ in events] == pytest.approx([9, 27], abs=4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_events_alternate_in_order(signal):
    events = gripper_events(signal)
    frames, states = [f for f, _ in events], [s for _, s in events]
    assert frames == sorted(set(frames)) and all(0 <= f < len(signal) for f in frames)
    assert all(a is not b for a, b in itertools.pairwise(states))
    assert all(s in (C, O) for s in states)


def test_a_gripper_that_stays_half_open_is_not_known_to_be_closed():
    assert with_start([], [0.5] * 9) == with_start([], [0.45, 0.44, 0.46]) == []
    assert with_start([], [0.1] * 9) == [(-1, C)] and with_start([], [1.0] * 9) == []
    assert with_start([(4, O)], [0.4] * 4 + [1.0] * 4) == [(-1, C), (4, O)]  # it held something
