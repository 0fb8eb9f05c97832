import json

import numpy as np
import pytest

from hamster.data import AnnotatedImage, Annotation, Provenance, Unreadable, View
from hamster.data.records import UNCLIPPED_UV
from hamster.evaluate.planner.run import evaluate_paths
from hamster.evaluate.planner.trace_scores import SECTIONS, summarize_traces, trace_errors
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.trace_metrics import displacement_errors, protocol_a, protocol_b
from hamster.planner import Plan

TRUTH = np.array([[0.2, 0.2], [0.4, 0.6], [0.8, 0.7]])
SHIFT = np.array([0.03, 0.04])


def path_of(uv) -> Path2D:
    return Path2D(uv, np.full(len(uv), -1))


def image(**extra) -> AnnotatedImage:
    annotation = Annotation("go", path_of(TRUTH), "trace")
    return AnnotatedImage(View(np.zeros((48, 64, 3), np.uint8)), [annotation], Provenance("t", extra=extra))


class Shifted:
    """Draws the truth, moved; then no path; then refuses; and again."""

    def __init__(self) -> None:
        self.n = -1

    def plan(self, rgb, instruction: str) -> Plan:
        self.n += 1
        if self.n % 3 == 1:
            raise PlanError("no idea", "gibberish")
        if self.n % 3 == 2:
            raise NotInViewError("not in view", "nothing")
        return Plan(path_of(TRUTH + SHIFT))


def evaluated(images, out):
    return evaluate_paths({"made": images}, Shifted(), "it", out, None, 0, lambda records, done, n: records)


def test_sections_treat_an_answer_without_a_path_each_in_its_way(tmp_path):
    trace = evaluated([image()] * 6, tmp_path)["sources"]["made"]["trace"]
    assert (trace["n"], trace["n_path"]) == (6, 2)
    assert [trace[name]["n"] for name in ("protocol_a", "protocol_b", "worst_case", "displacement")] == [6, 2, 6, 2]
    corner = protocol_a([[0, 0]], TRUTH, (64, 48)).rmse
    assert trace["protocol_a"]["rmse"]["mean"] == pytest.approx((2 * 0.05 + 4 * corner) / 6, abs=1e-5)
    assert trace["protocol_b"]["rmse"]["mean"] == pytest.approx(999 * 0.05, abs=1e-4)
    assert trace["worst_case"]["rmse"]["mean"] == pytest.approx((2 * 0.05 + 4 * 2**0.5) / 6, abs=1e-5)
    assert trace["displacement"]["ade"]["mean"] == pytest.approx(0.05, abs=1e-6)
    for section in (trace["protocol_a"], trace["worst_case"]):
        low, high = section["dfd"]["ci95"]
        assert low < section["dfd"]["mean"] < high
    assert trace["protocol_b"]["hd"]["ci95"] == pytest.approx([trace["protocol_b"]["hd"]["mean"]] * 2)


def test_errors_of_an_answer_are_those_of_the_metrics(tmp_path):
    evaluated([image()], tmp_path)
    record = json.loads((tmp_path / "paths.jsonl").read_text())["trace"]
    assert record["protocol_a"] == pytest.approx(protocol_a(TRUTH + SHIFT, TRUTH, (64, 48))._asdict(), abs=1e-6)
    assert record["protocol_b"] == pytest.approx(protocol_b(TRUTH + SHIFT, TRUTH)._asdict(), abs=1e-6)
    assert [*record["displacement"].values()] == pytest.approx(displacement_errors(TRUTH + SHIFT, TRUTH), abs=1e-6)


def test_a_truth_that_leaves_the_image_is_measured_as_published():
    outside = image(**{UNCLIPPED_UV: (TRUTH + 0.5).tolist()})
    errors = trace_errors(path_of(TRUTH), outside, outside.annotations[0])
    assert errors["protocol_a"]["rmse"] == pytest.approx(0.5 * 2**0.5, abs=1e-6)


def test_items_that_cannot_be_read_are_left_out_and_listed(tmp_path):
    summary = evaluated([Unreadable("f#0", "damaged"), image(), image()], tmp_path)["sources"]["made"]
    assert summary["trace"]["n"] == 2 and summary["unreadable"] == [{"file": "f#0", "reason": "damaged"}]
    with pytest.raises(ValueError, match=r"0 images .* 1 cannot be read: damaged"):
        evaluated([Unreadable("f#0", "damaged")], tmp_path)


def test_without_any_path_there_is_no_mean_to_invent():
    unread = {"trace": trace_errors(None, image(), image().annotations[0])}
    trace = summarize_traces([unread] * 3)
    assert trace["n_path"] == 0 and trace["protocol_b"] == {"n": 0} == trace["displacement"]
    assert trace["worst_case"]["mae"] == {"mean": 1, "ci95": [1, 1]}
    assert summarize_traces([{"outcome": "right"}])["n"] == 0  # a record of version 0.1


def test_intervals_cover_the_mean_of_the_population():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = rng.exponential(1.0, 60)
        records = [{"trace": dict.fromkeys(SECTIONS) | {"displacement": {"ade": value}}} for value in values]
        low, high = summarize_traces(records)["displacement"]["ade"]["ci95"]
        covered += low <= 1.0 <= high
    assert 0.85 < covered / 200 < 0.99
