from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.label.project import Visibility
from hamster.label.track2d import Track, paths_from_track
from hamster.path import Gripper
from hamster.path.simplify import segment_distance

OPEN, CLOSED = Gripper.OPEN, Gripper.CLOSED
T = 21


def corner():
    """Down, then right; a corner in frame 10."""
    along = np.linspace(0, 1, 11)
    down = np.column_stack([np.full(11, 0.2), 0.2 + 0.5 * along])
    return np.concatenate([down, np.column_stack([0.2 + 0.6 * along, np.full(11, 0.7)])[1:]])


def track(events=((10, CLOSED), (20, OPEN)), uv=None, score=None):
    return Track(corner() if uv is None else uv, np.ones(T) if score is None else score, list(events))


def test_each_frame_has_the_path_from_there_to_the_end():
    labels = paths_from_track(track())
    assert len(labels) == T
    for start, label in enumerate(labels):
        assert label.frames[0] == start and label.frames[-1] == T - 1
        np.testing.assert_allclose(label.path.uv, corner()[label.frames])


def test_events_ahead_stand_at_their_frames():
    label = paths_from_track(track())[0]
    assert [(int(label.frames[i]), state) for i, state in label.path.events] == [(10, CLOSED), (20, OPEN)]
    assert label.frames.tolist() == [0, 10, 20]


def test_what_is_held_already_is_said_at_the_start():
    assert paths_from_track(track())[15].path.events == [(0, CLOSED), (1, OPEN)]
    assert paths_from_track(track([(-1, CLOSED), (20, OPEN)]))[0].path.events == [(0, CLOSED), (2, OPEN)]
    assert paths_from_track(track([(5, OPEN)]))[8].path.events == []


def test_out_of_view_is_moved_to_the_border_and_marked():
    uv = corner() + np.array([0.3, 0])
    label = paths_from_track(track((), uv=uv))[0]
    assert label.path.uv[-1].tolist() == [1, 0.7]
    assert label.visible.tolist() == [Visibility.VISIBLE, Visibility.VISIBLE, Visibility.OUT_OF_VIEW]


def test_the_score_is_that_of_the_frames_ahead():
    score = np.r_[np.full(10, 0.2), np.full(10, 0.8), 0]
    labels = paths_from_track(track(score=score))
    assert labels[0].path.score == pytest.approx(0.5) and labels[12].path.score == pytest.approx(0.8)
    assert labels[20].path.score == 0


@given(st.integers(0, 2**31), st.floats(0.01, 0.2))
def test_a_path_stays_near_the_track(seed, epsilon):
    steps = np.random.default_rng(seed).normal(0, 0.03, (30, 2))
    uv = np.clip(0.5 + np.cumsum(steps, 0), 0, 1)
    for label in paths_from_track(Track(uv, np.ones(30), []), epsilon)[:3]:
        for (a, b), (start, end) in zip(pairwise(label.path.uv), pairwise(label.frames), strict=True):
            assert segment_distance(uv[start : end + 1], a, b).max() <= epsilon + 1e-9


@pytest.mark.parametrize(
    ("uv", "score", "events", "reason"),
    [
        (np.zeros((0, 2)), np.zeros(0), [], "uv"),
        (np.zeros((3, 3)), np.ones(3), [], "uv"),
        (np.full((3, 2), np.nan), np.ones(3), [], "finite"),
        (np.zeros((3, 2)), np.full(3, 1.5), [], r"\[0, 1\]"),
        (np.zeros((3, 2)), np.full(3, np.nan), [], r"\[0, 1\]"),
        (np.zeros((3, 2)), np.ones(3), [(2, OPEN), (1, CLOSED)], "in order"),
        (np.zeros((3, 2)), np.ones(3), [(3, OPEN)], "in order"),
    ],
)
def test_a_track_that_cannot_be_is_refused(uv, score, events, reason):
    with pytest.raises(ValueError, match=reason):
        Track(uv, score, events)


def test_a_track_of_every_third_frame_is_spread_over_all():
    track = Track(np.array([[0.1, 0.2], [0.4, 0.2], [0.4, 0.5]]), np.array([1.0, 0.5, 0.5]), [(-1, CLOSED), (1, OPEN)])
    spread = track.spread(3, 8)
    assert spread.uv.shape == (8, 2) and spread.events == [(-1, CLOSED), (3, OPEN)]
    np.testing.assert_allclose(spread.uv[::3], track.uv)
    np.testing.assert_allclose(spread.uv[[1, 2, 7]], [[0.2, 0.2], [0.3, 0.2], [0.4, 0.5]])  # the last one stands still
    np.testing.assert_array_equal(spread.score, [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5])
