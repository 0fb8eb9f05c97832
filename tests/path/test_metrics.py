import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.path import Gripper, Path2D
from hamster.path.metrics import dtw, endpoint_errors, event_f1, frechet, medians, path_errors
from tests.path.strategies import paths


def path_of(*uv, gripper=None):
    return Path2D(np.array(uv, float), np.full(len(uv), Gripper.UNKNOWN) if gripper is None else np.array(gripper))


def by_recursion(cost, combine):
    """The textbook definition, for small sizes."""

    def best(i, j):
        if i == 0 and j == 0:
            return cost[0, 0]
        options = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
        return combine(cost[i, j], min(best(a, b) for a, b in options if a >= 0 and b >= 0))

    return best(cost.shape[0] - 1, cost.shape[1] - 1)


@settings(max_examples=30)
@given(paths(max_size=5), paths(max_size=5))
def test_alignments_agree_with_the_textbook(a, b):
    cost = np.linalg.norm(a.uv[:, None] - b.uv[None], axis=-1)
    assert frechet(a, b, samples=None) == pytest.approx(by_recursion(cost, max))
    total = by_recursion(cost, lambda x, y: x + y)
    assert dtw(a, b, samples=None) == pytest.approx(total / max(cost.shape))


@given(paths(), paths(), st.sampled_from([frechet, dtw]))
def test_distances_are_symmetric_and_zero_for_the_same_path(a, b, distance):
    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, a) == 0


@given(paths(), paths())
def test_frechet_is_at_least_the_endpoint_errors(a, b):
    assert frechet(a, b) >= max(endpoint_errors(a, b)) - 1e-12
    assert dtw(a, b) <= 2 * frechet(a, b) + 1e-12


@given(paths(max_size=8), paths(max_size=8), paths(max_size=8))
def test_frechet_obeys_the_triangle_inequality(a, b, c):
    assert frechet(a, c, 30) <= frechet(a, b, 30) + frechet(b, c, 30) + 1e-9


def test_waypoints_on_a_straight_line_do_not_count():
    few, many = path_of([0, 0.5], [1, 0.5]), path_of(*np.linspace([0, 0.5], [1, 0.5], 23))
    assert frechet(few, many) == pytest.approx(0, abs=1e-9)


def test_the_same_line_walked_backwards_is_far_away():
    assert frechet(path_of([0, 0], [1, 0]), path_of([1, 0], [0, 0])) == pytest.approx(1)


def test_a_shift_is_its_own_distance():
    a, b = path_of([0.1, 0.1], [0.5, 0.8]), path_of([0.1, 0.3], [0.5, 1.0])
    assert frechet(a, b) == pytest.approx(0.2) and dtw(a, b) <= 0.2 + 1e-9
    assert endpoint_errors(a, b) == pytest.approx((0.2, 0.2))


C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
LINE = [[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]


@pytest.mark.parametrize(
    ("predicted", "truth", "f1"),
    [
        ([U, C, O], [U, C, O], 1.0),
        ([U, U, U], [U, U, U], 1.0),
        ([U, U, U], [U, C, O], 0.0),
        ([U, C, C], [U, C, O], 2 / 3),
        ([U, O, C], [U, C, O], 0.0),  # right places, wrong events
        ([C, C, O], [U, C, O], 0.5),  # closes too early in space
    ],
)
def test_event_f1(predicted, truth, f1):
    assert event_f1(path_of(*LINE, gripper=predicted), path_of(*LINE, gripper=truth)) == pytest.approx(f1)


def test_events_out_of_order_match_only_once():
    there = path_of([0, 0], [1, 1], gripper=[C, O])
    other = path_of([1, 1], [0, 0], gripper=[O, C])
    assert event_f1(there, other) == pytest.approx(0.5)


@given(paths())
def test_event_f1_tolerance(path):
    shifted = Path2D(np.clip(path.uv + 0.04, 0, 1), path.gripper)
    assert event_f1(shifted, path, tolerance=0.06) == 1.0


def test_distance_does_not_depend_on_how_the_cells_are_walked():
    rng = np.random.default_rng(0)
    for n, m in itertools.product([1, 2, 3, 7], repeat=2):
        a, b = path_of(*rng.random((n, 2))), path_of(*rng.random((m, 2)))
        assert frechet(a, b, None) == pytest.approx(frechet(b, a, None))


def test_errors_of_many_paths_are_medians_of_those_that_could_be_read():
    truth = path_of((0.2, 0.2), (0.8, 0.8))
    right, off = path_errors(truth, truth), path_errors(path_of((0.2, 0.3), (0.8, 0.8)), truth)
    assert right == {"start": 0, "end": 0, "frechet": 0, "event_f1": 1} and off["start"] == off["frechet"] == 0.1
    found = medians([right, off, None, None])
    assert (found["n"], found["parse_rate"], found["start"]) == (4, 0.5, 0.05)
    assert medians([None]) == {"n": 1, "parse_rate": 0} and medians([])["parse_rate"] == 0
