"""Golden numbers are computed by hand, from the definitions that the published scripts follow."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.path.trace_metrics import (
    CAP_B,
    NO_PATH_A,
    WORST_A,
    discrete_frechet,
    displacement_errors,
    hausdorff,
    mae,
    protocol_a,
    protocol_b,
    resample_by_index,
    rmse,
)
from tests.path.strategies import points

METRICS = ("rmse", "mae", "dfd", "hd")
TWO_OR_MORE = points(min_size=2, max_size=12)


def test_rmse_and_mae_by_hand():
    a, b = [[0, 0], [0, 0]], [[3, 4], [0, 0]]
    assert rmse(a, b) == pytest.approx(math.sqrt(25 / 2))  # dx² + dy², not their mean
    assert mae(a, b) == pytest.approx((3 + 4) / 2 / 2)  # the mean over both axes


def test_frechet_and_hausdorff_by_hand():
    there_and_back, there = [[0, 0], [1, 0], [0, 0], [1, 0]], [[0, 0], [1, 0]]
    assert hausdorff(there_and_back, there) == 0  # as sets they are equal
    assert discrete_frechet(there_and_back, there) == 1  # one of them must wait at a distance of 1
    assert discrete_frechet([[0, 0], [2, 0]], [[0, 1], [1, 1], [2, 1]]) == pytest.approx(math.sqrt(2))
    assert hausdorff([[0, 0], [2, 0]], [[0, 1], [1, 1], [2, 1]]) == pytest.approx(math.sqrt(2))


def test_protocol_a_by_hand():
    """A right angle against its chord: point s of each has (2s, 0) or (1, 2s - 1), and (s, s)."""
    errors = protocol_a([[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1]])
    s = np.linspace(0, 1, 100)
    angle = np.where((s < 0.5)[:, None], np.stack([2 * s, 0 * s], -1), np.stack([0 * s + 1, 2 * s - 1], -1))
    gap = np.minimum(s, 1 - s)  # on each axis
    assert errors.rmse == pytest.approx(np.sqrt(np.mean(2 * gap**2)))
    assert errors.rmse == pytest.approx(math.sqrt(1 / 6), abs=3e-3)  # of all points: sqrt(4 * integral of s² to 1/2)
    assert errors.mae == pytest.approx(gap.mean()) and errors.mae == pytest.approx(1 / 4, abs=3e-3)
    farthest = max(np.linalg.norm(angle[:, None] - s[None, :, None], axis=-1).min(1))
    assert errors.hd == pytest.approx(farthest) and errors.hd == pytest.approx(math.sqrt(1 / 2), abs=0.01)
    assert errors.dfd >= errors.hd


def test_protocol_a_measures_the_arc_in_pixels():
    """A wide image: the way along x counts for more, so that half of the way is elsewhere."""
    bent, straight = [[0, 0], [1, 0], [1, 1]], [[0, 0], [0, 0.5], [0, 1]]
    assert protocol_a(bent, straight, (200, 100)) != protocol_a(bent, straight)
    s = np.linspace(0, 1, 100)  # of 300 pixels, 200 are along x; of the other one's 100, all along y
    x, y = np.minimum(1.5 * s, 1), np.maximum(3 * s - 2, 0)
    assert protocol_a(bent, straight, (200, 100)).rmse == pytest.approx(np.sqrt(np.mean(x**2 + (y - s) ** 2)))


def test_protocol_b_by_hand():
    predicted, truth = [[0.0, 0.0], [0.2, 0.0]], [[0.0, 0.1], [0.0, 0.1], [0.2, 0.1]]
    errors = protocol_b(predicted, truth)
    # by index the prediction becomes (0, 0), (0.1, 0), (0.2, 0): gaps (0, .1), (.1, .1), (0, .1)
    assert errors.rmse == pytest.approx(999 * math.sqrt((0.01 + 0.02 + 0.01) / 3))
    assert errors.mae == pytest.approx(999 * (0.05 + 0.1 + 0.05) / 3)
    assert (
        errors.dfd == errors.hd == pytest.approx(99.9)
    )  # without resampling both first points of the truth meet (0, 0)


def test_protocol_b_leaves_single_points_out_and_caps():
    assert protocol_b([[0.5, 0.5]], [[0, 0], [1, 1]]) is None
    assert protocol_b([[0, 0], [0, 0]], [[0.5, 0.5]]) is None
    errors = protocol_b([[0, 0], [0, 0]], [[1, 1], [1, 1]])
    assert errors.rmse == errors.dfd == CAP_B and errors.mae == pytest.approx(999)


def test_protocol_a_scores_the_corner_where_there_is_no_path():
    errors = protocol_a(NO_PATH_A, [[0.3, 0.4], [0.3, 0.4]])
    assert errors == pytest.approx((0.5, 0.35, 0.5, 0.5))
    assert protocol_a(NO_PATH_A, [[1, 1]]) == pytest.approx(WORST_A)


def test_displacements_by_hand():
    ade, fde = displacement_errors([[0, 0], [1, 0]], [[0, 0], [0.5, 0]])
    assert (ade, fde) == pytest.approx((0.25, 0.5))


@settings(max_examples=50)
@given(TWO_OR_MORE, TWO_OR_MORE)
def test_all_are_symmetric_and_between_zero_and_the_worst(a, b):
    for protocol, worst in ((protocol_a, WORST_A), (protocol_b, (CAP_B,) * 4)):
        errors = protocol(a, b)
        assert errors == pytest.approx(protocol(b, a), abs=1e-9)
        assert all(0 <= error <= most + 1e-9 for error, most in zip(errors, worst, strict=True))
        assert errors.mae <= errors.rmse + 1e-9 and errors.hd <= errors.dfd + 1e-9
    ade, fde = displacement_errors(a, b)
    assert ade <= protocol_a(a, b).rmse + 1e-9 and fde <= protocol_a(a, b).dfd + 1e-9


@settings(max_examples=50)
@given(TWO_OR_MORE)
def test_the_same_path_has_no_error(a):
    assert protocol_a(a, a, (640, 480)) == pytest.approx((0, 0, 0, 0))
    assert protocol_b(a, a) == pytest.approx((0, 0, 0, 0)) and displacement_errors(a, a) == pytest.approx((0, 0))


@settings(max_examples=50)
@given(TWO_OR_MORE, TWO_OR_MORE, st.floats(-1, 1), st.floats(-1, 1))
def test_moving_both_changes_nothing_and_moving_one_is_its_own_distance(a, b, dx, dy):
    shift = np.array([dx, dy])
    assert protocol_a(a + shift, b + shift) == pytest.approx(protocol_a(a, b), abs=1e-6)
    assert protocol_b(a + shift, b + shift) == pytest.approx(protocol_b(a, b), abs=1e-3)
    moved, length = protocol_a(a + shift, a), math.hypot(dx, dy)
    assert moved.rmse == pytest.approx(length, abs=1e-9) and moved.dfd <= length + 1e-9
    assert moved.mae == pytest.approx((abs(dx) + abs(dy)) / 2, abs=1e-9)


@given(TWO_OR_MORE, st.integers(2, 40))
def test_resampling_by_index_keeps_ends_and_a_sequence_of_that_length(uv, n):
    even = resample_by_index(uv, n)
    assert even.shape == (n, 2) and np.allclose(even[[0, -1]], uv[[0, -1]])
    assert np.allclose(resample_by_index(uv, len(uv)), uv)


@pytest.mark.parametrize("bad", [[], [[1, 2, 3]], [1, 2], [[math.nan, 0]], [[0, math.inf]]])
def test_what_is_no_point_sequence_is_an_error(bad):
    for metric in (protocol_a, protocol_b, displacement_errors, discrete_frechet, hausdorff, rmse, mae):
        with pytest.raises(ValueError, match=r"\(N >= 1, 2\)"):
            metric(bad, [[0, 0], [1, 1]])
    with pytest.raises(ValueError, match="one length"):
        rmse([[0, 0]], [[0, 0], [1, 1]])
