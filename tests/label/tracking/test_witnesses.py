import numpy as np
import pytest

from hamster.label.tracking.witnesses import agreement

STRAIGHT = np.column_stack([np.linspace(10, 100, 60), np.full(60, 40.0)])


def score(places, steps, there=None, known=None):
    there = np.ones(len(places), bool) if there is None else there
    known = np.ones(len(places) - 1) if known is None else known
    return agreement(places, there, steps, known, 128.0, 15.0)


def test_the_same_motion_is_agreed_on():
    assert score(STRAIGHT, np.diff(STRAIGHT, axis=0)).min() > 0.99
    ragged = STRAIGHT + np.random.default_rng(0).normal(0, 1, STRAIGHT.shape)
    assert score(ragged, np.diff(STRAIGHT, axis=0)).mean() > 0.8


@pytest.mark.parametrize("steps", [np.zeros((59, 2)), -np.diff(STRAIGHT, axis=0), 3 * np.diff(STRAIGHT, axis=0)])
def test_another_motion_is_not(steps):
    assert score(STRAIGHT, steps).max() < 0.55


def test_a_part_in_which_they_disagree_is_told_from_the_rest():
    places = STRAIGHT.copy()
    places[30:45] += [0, 40]
    agree = score(places, np.diff(STRAIGHT, axis=0))
    assert agree[:24].min() > 0.9 and agree[29:31].max() < 0.3 and agree[52:].min() > 0.9


def test_one_witness_alone_proves_nothing():
    steps = np.diff(STRAIGHT, axis=0)
    assert (score(STRAIGHT, steps, known=np.zeros(59)) == 0).all()
    lost = np.ones(59)
    lost[20:35] = 0
    agree = score(STRAIGHT, steps, known=lost)
    assert agree[26:30].max() <= 0.25 and agree[:15].min() > 0.9
    at_rest = np.ones(60, bool)
    at_rest[22:34] = False
    assert score(STRAIGHT, steps, there=at_rest, known=lost)[28] > 0.9  # nothing moves: nothing to confirm
