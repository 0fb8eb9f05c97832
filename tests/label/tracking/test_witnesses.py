import numpy as np
import pytest

from hamster.label.tracking.silhouette import entry, tips
from hamster.label.tracking.witnesses import agreement, certainty

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


def silhouette(*points, width=5):
    """A mask (96, 128) of a bent bar through pixels (u, v)."""
    cv2 = pytest.importorskip("cv2")
    mask = np.zeros((96, 128), np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, width)
    return mask.astype(bool)


def certainties(mask):
    masks = [mask] * 12
    origin = entry(masks)
    return certainty(masks, *tips(masks, origin), origin)


def test_the_end_of_an_outstretched_arm_is_a_tip():
    assert certainties(silhouette((60, 0), (64, 70))).min() > 0.8


def test_an_arm_with_two_far_ends_is_doubted():
    forked = certainties(silhouette((64, 0), (64, 20), (16, 30), (10, 36)) | silhouette((64, 20), (112, 30), (118, 36)))
    assert forked.max() < 0.5


def test_a_sliver_at_the_border_is_doubted():
    assert certainties(silhouette((60, 0), (62, 14))).max() < 0.5
