import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.planner.calibration import FILE, Calibration, fit, refusal_threshold


def _sampled(n: int, seed: int, truth: Calibration) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.beta(4, 2, n)
    return raw, rng.random(n) < [truth.apply(score) for score in raw]


def test_it_finds_the_map_that_the_outcomes_came_from() -> None:
    truth = Calibration(2.0, 0.5, 0.8)
    raw, right = _sampled(20000, 0, truth)
    found = Calibration(*fit(raw, right))
    grid = np.linspace(0.15, 0.98, 30)
    assert max(abs(found.apply(s) - truth.apply(s)) for s in grid) < 0.02


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_a_fit_never_falls_and_stays_a_probability(data: list[tuple[float, bool]]) -> None:
    raw, right = zip(*data, strict=True)
    found = Calibration(*fit(raw, right))
    values = [found.apply(s) for s in np.linspace(0, 1, 21)]
    assert all(0 <= v <= 1 for v in values) and all(a <= b + 1e-12 for a, b in pairwise(values))


def test_scores_that_say_nothing_get_the_rate_of_all() -> None:
    rng = np.random.default_rng(1)
    raw, right = rng.random(5000), rng.random(5000) < 0.7
    assert Calibration(*fit(raw, right)).apply(0.5) == pytest.approx(0.7, abs=0.03)
    assert Calibration(*fit(raw, raw < 0.3)).apply(0.9) == pytest.approx(0.3, abs=0.03)  # not even a wrong slope


def test_without_a_file_scores_stay_as_they_are(tmp_path) -> None:
    plain = Calibration.load(tmp_path)
    assert [plain.apply(s) for s in (0.1, 0.5, 0.93)] == pytest.approx([0.1, 0.5, 0.93])


def test_it_is_read_as_it_was_written(tmp_path) -> None:
    kept = Calibration(1.5, 0.25, -0.5, 0.37, {"n": 12})
    kept.save(tmp_path)
    assert Calibration.load(tmp_path) == kept


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100000, "\x00",
     '{"format": 2, "a": 1}', '{"format": 1, "a": "x"}', '{"format": 1, "a": -1}', '{"format": 1, "b": NaN}',
     '{"format": 1, "refuse_above": 2}', '{"format": 1, "d": 2}', '{"format": 1, "a": null}'],
)  # fmt: skip
def test_a_malformed_file_is_refused_in_one_line(tmp_path, text) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match="is no calibration") as caught:
        Calibration.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert json.dumps(str(caught.value))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0, 0.5))
def test_no_more_is_falsely_refused_than_was_asked_for(in_view: list[float], share: float) -> None:
    above = refusal_threshold(in_view, share)
    assert sum(p > above for p in in_view) <= share * len(in_view)
    lower = [p for p in in_view if p < above]
    assert not lower or sum(p > max(lower) for p in in_view) > share * len(in_view)
