import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hamster.data import AnnotatedImage, Annotation, ImageObject, Provenance, View
from hamster.evaluate.planner.answers import Answers
from hamster.evaluate.planner.reliability import diagram, reliability
from hamster.evaluate.planner.run import evaluate_paths
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.planner import Plan


def image(row: int, absent: tuple[str, ...] = ()) -> AnnotatedImage:
    mask = np.full((64, 64), 255, np.uint8)
    mask[row : row + 6, 30:36] = 0
    truth = Path2D(np.array([[0.1, 0.1], [33 / 64, (row + 3) / 64]]), np.array([0, 0]))
    annotation = Annotation(f"press {row}", truth, "press", target=0)
    view = View(np.zeros((64, 64, 3), np.uint8))
    return AnnotatedImage(view, [annotation], Provenance("t"), [ImageObject("red", "button")], mask, absent)


class Oracle:
    """Knows the answer to the first `known` instructions, is far off once, and gives up on the rest."""

    def __init__(self, known: int, score: float | None = None) -> None:
        self.known, self.score = known, score

    def plan(self, rgb, instruction: str) -> Plan:
        if instruction.startswith("take"):
            raise NotInViewError("not in view", "nothing")
        row = int(instruction.split()[1])
        if row > self.known:
            raise PlanError("no idea", "gibberish")
        v = 0.99 if row == self.known else (row + 3) / 64
        path = Path2D(np.array([[33 / 64, v]]), np.array([-1]))
        return Plan((replace(path, score=self.score),), "", {})


def as_they_come(records, done, n):
    return records


def measured(images, planner, out, n=None, **more):
    return evaluate_paths({"made": images, **more}, planner, "it", out, n, 0, as_they_come)


def test_right_wrong_and_unreadable_paths_are_counted_apart(tmp_path) -> None:
    summary = measured([image(r) for r in range(10)], Oracle(7), tmp_path, 10)
    condition = summary["conditions"]["it"]
    assert (condition["n_success"], condition["n_episodes"]) == (7, 10)
    assert condition["outcomes"] == {"both wrong": 1, "plan_error": 2, "right": 7}
    assert condition["per_task"]["press"]["n_success"] == 7
    assert json.loads((tmp_path / "eval_info.json").read_text())["conditions"] == summary["conditions"]
    answers = [json.loads(line) for line in (tmp_path / "paths.jsonl").read_text().splitlines()]
    assert [a.get("reason") for a in answers[8:]] == ["no idea", "no idea"]
    assert (tmp_path / "paths.png").stat().st_size > 1000
    assert summary["paths"]["all"]["parse_rate"] == 0.8 and summary["paths"]["press"]["end"] < 0.001
    assert answers[7]["errors"]["frechet"] >= answers[7]["errors"]["end"] > 0.5


def test_sources_are_told_apart_and_errors_have_intervals(tmp_path) -> None:
    images = [image(r) for r in range(10)]
    found = measured(images, Oracle(7), tmp_path, other=images[:5])["sources"]
    assert (found["made"]["right"]["k"], found["made"]["right"]["n"]) == (7, 10)
    assert (found["other"]["right"]["k"], found["other"]["right"]["n"]) == (5, 5)
    row = found["made"]["paths"]["press"]
    for name in ("start", "end", "frechet", "event_f1", "parse_rate"):
        low, high = row["ci95"][name]
        assert low <= row[name] <= high
    assert row["ci95"]["parse_rate"][0] < 0.6 and found["other"]["paths"]["all"]["ci95"]["end"] == [0, 0]


def test_what_is_absent_should_be_refused_and_what_is_there_should_not(tmp_path) -> None:
    images = [image(r, ("take the cup", "press 3")[r % 2 : r % 2 + 1]) for r in range(6)]
    images += [replace(image(9), annotations=[replace(image(9).annotations[0], instruction="take 9")])]
    summary = measured(images, Oracle(99), tmp_path)
    refused = summary["sources"]["made"]["refused"]
    assert (refused["absent"]["k"], refused["absent"]["n"]) == (3, 6)
    assert (refused["in_view"]["k"], refused["in_view"]["n"]) == (1, 7)
    assert summary["conditions"]["it"]["n_episodes"] == 7  # what is absent counts apart
    assert summary["conditions"]["it"]["outcomes"] == {"not_in_view": 1, "right": 6}


def test_images_of_a_row_are_counted_together(tmp_path) -> None:
    names = ["leftmost"] * 4 + ["plain"] * 6
    named = [replace(image(r), provenance=Provenance("t", extra={"row": name})) for r, name in enumerate(names)]
    rows = measured(named, Oracle(7), tmp_path, other=[image(1)])["sources"]["made"]["rows"]
    assert {name: (row["k"], row["n"]) for name, row in rows.items()} == {"leftmost": (4, 4), "plain": (3, 6)}
    assert rows["plain"]["ci95"][0] < 0.5 < rows["plain"]["ci95"][1]
    assert measured([image(1)], Oracle(7), tmp_path)["sources"]["made"]["rows"] == {}


def test_all_images_are_asked_about_unless_a_number_is_given(tmp_path) -> None:
    summary = measured([image(r) for r in range(3)], Oracle(99), tmp_path)
    assert summary["conditions"]["it"]["n_episodes"] == 3


def test_too_few_images_are_an_error_not_a_smaller_n(tmp_path) -> None:
    with pytest.raises(ValueError, match="made has 3 images"):
        measured([image(r) for r in range(3)], Oracle(99), tmp_path, 5)


def test_scores_are_held_against_what_was_right(tmp_path) -> None:
    images = [image(r) for r in range(8)]
    found = measured(images, Oracle(7, 0.55), tmp_path)["sources"]["made"]["calibration"]
    assert found["n"] == 8 and found["ece"] == pytest.approx(7 / 8 - 0.55, abs=1e-4)
    picture = np.asarray(Image.open(tmp_path / "reliability.png"))
    assert picture.std() > 10


def test_the_calibration_error_is_that_of_a_brute_force_twin() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    right = rng.random(500) < scores**2
    total = 0.0
    for b in range(10):
        inside = [i for i, s in enumerate(scores) if b / 10 <= s < (b + 1) / 10]
        total += abs(sum(right[i] for i in inside) - sum(scores[i] for i in inside))
    found = reliability(scores.tolist(), right.tolist())
    assert found["ece"] == pytest.approx(total / 500, abs=2e-4) and sum(b["n"] for b in found["bins"]) == 500
    assert reliability([1.0, 0.0], [True, False])["ece"] == 0
    assert reliability([], []) == {"n": 0, "ece": None, "bins": []}
    assert diagram({"a": found, "b": found}).shape[1] == 2 * diagram({"a": found}).shape[1]


def test_the_sheet_shows_the_nearest_those_in_the_middle_and_the_farthest() -> None:
    tile = Answers()
    for i in np.random.default_rng(1).permutation(100).tolist():
        tile.in_view.append({"outcome": "right", "instruction": f"{i:02d}", "errors": {"frechet": i / 100}})
        tile.drawn.append(_jpeg())
    captions = [caption for _, caption in tile.best_median_worst(3)]
    assert captions == [
        *(f"best [right] {i:02d}" for i in range(3)),
        *(f"median [right] {i:02d}" for i in (48, 49, 50)),
        *(f"worst [right] {i:02d}" for i in (97, 98, 99)),
    ]


def _jpeg() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()
