import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.path import Gripper, Path2D
from hamster.path.simplify import arc_length, kept_waypoints, resample, segment_distance, simplify
from tests.path.strategies import paths, points


def worst_error(uv, kept):
    """The largest distance of any point to the kept segment that spans it, computed the slow way."""
    worst = 0.0
    for a, b in pairwise(kept):
        for i in range(a, b + 1):
            direction = uv[b] - uv[a]
            t = np.clip(np.dot(uv[i] - uv[a], direction) / max(np.dot(direction, direction), 1e-300), 0, 1)
            worst = max(worst, float(np.linalg.norm(uv[i] - uv[a] - t * direction)))
    return worst


def random_walk(rng, n):
    steps = rng.normal(scale=rng.uniform(0.001, 0.2), size=(n, 2)) * rng.integers(0, 2, (n, 1))
    return np.clip(rng.uniform(size=2) + np.cumsum(steps, 0), 0, 1)


def test_thousands_of_random_walks_stay_within_epsilon():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        uv = random_walk(rng, int(rng.integers(1, 60)))
        if rng.random() < 0.3:
            uv = np.concatenate([uv, uv[::-1]])
        epsilon = float(rng.choice([0.0, 0.01, 0.05, 0.3]))
        kept = kept_waypoints(uv, [], epsilon)
        assert kept[0] == 0 and kept[-1] == len(uv) - 1
        assert worst_error(uv, kept) <= epsilon + 1e-12


@settings(max_examples=300)
@given(paths(), st.sampled_from([0.0, 0.02, 0.05, 0.5]))
def test_keeps_ends_events_and_the_tolerance(path, epsilon):
    fixed = [i for i, _ in path.events]
    kept = kept_waypoints(path.uv, fixed, epsilon)
    assert {0, len(path) - 1, *fixed} <= set(kept.tolist())
    assert worst_error(path.uv, kept) <= epsilon + 1e-12
    short = simplify(path, epsilon)
    assert [s for _, s in short.events] == [s for _, s in path.events]
    assert [short.uv[i].tolist() for i, _ in short.events] == [path.uv[i].tolist() for i, _ in path.events]
    assert np.array_equal(short.uv, path.uv[kept]) and np.array_equal(short.gripper, path.gripper[kept])


@given(paths())
def test_simplifying_again_changes_nothing(path):
    assert simplify(simplify(path)) == simplify(path)


def test_turning_back_beyond_the_end_keeps_the_turning_point():
    # The infinite line through both ends passes through every point: a line metric would drop the turn.
    uv = np.array([[0.1, 0.5], [0.9, 0.5], [0.4, 0.5]])
    assert kept_waypoints(uv).tolist() == [0, 1, 2]


def test_a_closed_path_keeps_its_far_side():
    angle = np.linspace(0, 2 * np.pi, 60)
    uv = 0.5 + 0.3 * np.stack([np.cos(angle), np.sin(angle)], -1)
    assert 6 <= len(kept_waypoints(uv)) <= 12


def test_the_distance_to_a_segment_without_length_is_that_to_its_point():
    points = np.array([[0.5, 0.1], [0.2, 0.5]])
    assert segment_distance(points, [0.2, 0.1], [0.2, 0.1]) == pytest.approx([0.3, 0.4])


def test_paths_in_space_stay_within_epsilon_too():
    """Also where a path ends where it began: the segment between its ends has no length."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        points_3d = rng.uniform(size=(20, 3)).cumsum(0) % 1
        points_3d[-1] = points_3d[0]
        assert worst_error(points_3d, kept_waypoints(points_3d, [], 0.3)) <= 0.3 + 1e-12


def test_a_straight_path_becomes_its_ends():
    uv = np.linspace([0.1, 0.2], [0.8, 0.9], 150)
    assert kept_waypoints(uv).tolist() == [0, 149]


def test_standing_still_keeps_one_of_many_duplicates():
    uv = np.array([[0.1, 0.1]] * 5 + [[0.5, 0.9]] * 7 + [[0.9, 0.1]] * 5)
    assert len(kept_waypoints(uv)) == 3


def test_depth_and_score_come_along():
    path = Path2D(np.linspace([0, 0], [1, 1], 9), np.full(9, Gripper.OPEN), np.linspace(1, 2, 9), 0.5)
    short = simplify(path)
    assert short.depth_m.tolist() == [1, 2] and short.score == 0.5


@pytest.mark.parametrize("epsilon", [-0.1, float("nan")])
def test_a_tolerance_below_zero_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        kept_waypoints([[0, 0], [1, 1]], [], epsilon)


def zigzag(n):
    return np.stack([np.linspace(0, 1, n), np.arange(n) % 2], -1)


def test_thousands_of_corners_do_not_recurse():
    uv = zigzag(3000)
    kept = kept_waypoints(uv)
    assert len(kept) > 2500 and worst_error(uv, kept) <= 0.05


def test_a_hundred_thousand_corners_exhaust_neither_the_stack_nor_the_patience():
    start = time.process_time()
    kept = kept_waypoints(zigzag(100_000), epsilon=1e-9)
    assert len(kept) > 90_000 and (np.diff(kept) > 0).all() and time.process_time() - start < 20
    assert kept_waypoints(np.linspace([0, 0], [1, 1], 10_000)).tolist() == [0, 4096, 8192, 9999]


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors")
def test_within_epsilon_where_the_usual_package_is_not():
    """It measures to infinite lines, and so forgets where a path turns back."""
    rdp = pytest.importorskip("rdp", reason="the package rdp is an extra: the extra `bench`").rdp
    rng = np.random.default_rng(5)
    theirs, ours = [], []
    for _ in range(50):
        there = random_walk(rng, 20)
        uv = np.concatenate([there, there[::-1], there[:1].repeat(3, 0), there[: int(rng.integers(1, 20))]])
        theirs.append(worst_error(uv, np.flatnonzero(rdp(uv, 0.05, return_mask=True))))
        ours.append(worst_error(uv, kept_waypoints(uv)))
    assert max(theirs) > 0.1 and max(ours) <= 0.05 + 1e-12


@given(points(), st.integers(2, 60))
def test_resampling_keeps_the_ends_and_spaces_points_evenly(uv, n):
    out = resample(uv, n)
    assert out.shape == (n, 2)
    assert np.array_equal(out[[0, -1]], uv[[0, -1]])
    step = arc_length(uv)[-1] / (n - 1)
    # Chords are shorter than the arc only where a corner lies between them.
    assert np.linalg.norm(np.diff(out, axis=0), axis=-1).max() <= step + 1e-9


@given(points(min_size=2), st.integers(1, 40))
def test_resampled_points_lie_on_the_path(uv, n):
    gaps = segment_distance(resample(uv, n)[:, None], uv[:-1], uv[1:])
    assert gaps.min(-1).max() < 1e-9


def test_resampling_a_straight_line():
    assert np.allclose(resample([[0, 0], [0, 0], [1, 0]], 5)[:, 0], [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(("uv", "n"), [(np.zeros((0, 2)), 3), ([[0, 0]], 0)])
def test_resampling_nothing_is_refused(uv, n):
    with pytest.raises(ValueError, match="at least one point"):
        resample(uv, n)


def test_in_the_plane_it_keeps_what_it_keeps_in_space():
    """The plane has a fast path of its own; with a third coordinate of zero the general one is taken."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        uv = random_walk(rng, 40) + rng.normal(scale=1e-6, size=(40, 2))  # no ties
        fixed = rng.integers(0, 40, 2)
        flat, deep = kept_waypoints(uv, fixed, 0.05), kept_waypoints(np.pad(uv, ((0, 0), (0, 1))), fixed, 0.05)
        assert flat.tolist() == deep.tolist()
