import json

import numpy as np
import pytest

from hamster.data import AnnotatedImage, Annotation, ImageObject, Provenance, View
from hamster.evaluate.paths import evaluate_paths
from hamster.path import Path, PlanError
from hamster.planner import Plan


def image(row: int) -> AnnotatedImage:
    mask = np.full((64, 64), 255, np.uint8)
    mask[row : row + 6, 30:36] = 0
    truth = Path(np.array([[0.1, 0.1], [33 / 64, (row + 3) / 64]]), np.array([0, 0]))
    annotation = Annotation(f"press {row}", truth, "press", target=0)
    return AnnotatedImage(
        View(np.zeros((64, 64, 3), np.uint8)), [annotation], Provenance("t"), [ImageObject("red", "button")], mask
    )


class Oracle:
    """Knows the answer to the first `known` instructions, is far off once, and gives up on the rest."""

    def __init__(self, known: int) -> None:
        self.known = known

    def plan(self, rgb, instruction: str) -> Plan:
        row = int(instruction.split()[1])
        if row > self.known:
            raise PlanError("no idea", "gibberish")
        v = 0.99 if row == self.known else (row + 3) / 64
        return Plan((Path(np.array([[33 / 64, v]]), np.array([-1])),), "", {})


def as_they_come(records, done, n):
    return records


def test_right_wrong_and_refused_paths_are_counted_apart(tmp_path) -> None:
    summary = evaluate_paths([image(r) for r in range(10)], Oracle(7), "it", tmp_path, 10, 0, as_they_come)
    arm = summary["arms"]["it"]
    assert (arm["n_success"], arm["n_episodes"]) == (7, 10)
    assert arm["outcomes"] == {"both wrong": 1, "plan_error": 2, "right": 7}
    assert arm["per_task"]["press"]["n_success"] == 7
    assert json.loads((tmp_path / "eval_info.json").read_text())["arms"] == summary["arms"]
    answers = [json.loads(line) for line in (tmp_path / "paths.jsonl").read_text().splitlines()]
    assert [a.get("reason") for a in answers[8:]] == ["no idea", "no idea"]
    assert (tmp_path / "paths.png").stat().st_size > 1000
    assert summary["paths"]["all"]["parse_rate"] == 0.8 and summary["paths"]["press"]["end"] < 0.001
    assert answers[7]["errors"]["frechet"] >= answers[7]["errors"]["end"] > 0.5


def test_all_images_are_asked_about_unless_a_number_is_given(tmp_path) -> None:
    summary = evaluate_paths([image(r) for r in range(3)], Oracle(99), "it", tmp_path, None, 0, as_they_come)
    assert summary["arms"]["it"]["n_episodes"] == 3


def test_too_few_images_are_an_error_not_a_smaller_n(tmp_path) -> None:
    with pytest.raises(ValueError, match="has 3 images"):
        evaluate_paths([image(r) for r in range(3)], Oracle(99), "it", tmp_path, 5, 0, as_they_come)
