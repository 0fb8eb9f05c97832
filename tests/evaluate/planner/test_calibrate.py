import json
from dataclasses import replace

import numpy as np
import pytest

from hamster.data import AnnotatedImage, Annotation, ImageObject, Provenance, View
from hamster.dialects import refusal, render
from hamster.evaluate.planner.calibrate import MAX_FALSE_REFUSALS, calibrate
from hamster.path import Path2D
from hamster.planner.backend import Completion
from hamster.planner.calibration import Calibration
from hamster.planner.prompts import PromptConfig
from hamster.planner.vlm import VlmPlanner

RIGHT = Path2D(np.array([[0.5, 0.5]]), np.array([-1]))
WRONG = Path2D(np.array([[0.9, 0.1]]), np.array([-1]))


class Half:
    """Says how likely its path is, and is right half as often as it says; tells what is absent, mostly."""

    name = "half"

    def generate(self, requests, sampling, on_token=None):
        return [[self._one(request.text, sampling)] for request in requests]

    def _one(self, text, sampling):
        number = int(text.split("#")[1].split("<")[0])
        draw = np.random.default_rng(number)
        sure, right = draw.uniform(0.3, 1.0), draw.random()
        if "not in" in sampling.grammar or sampling.max_new_tokens == 32:
            p = draw.beta(8, 2) if "vain" in text else draw.beta(2, 8)
            return Completion(refusal("hamster"), (float(np.log(p)),))
        return Completion(render(RIGHT if right < sure / 2 else WRONG, "hamster"), confidence=sure)


def image(i: int) -> AnnotatedImage:
    annotation = Annotation(f"press #{i}", RIGHT, "press")
    view = View(np.zeros((32, 32, 3), np.uint8))
    return AnnotatedImage(view, [annotation], Provenance("t"), [ImageObject("red", "button")], None, [f"vain #{i}"])


def as_they_come(records, done, n):
    return records


def test_scores_come_to_mean_what_they_say_on_other_images(tmp_path):
    planner = VlmPlanner(Half(), PromptConfig("hamster", abstains=True), calibration=Calibration(5.0, 0.1, 2.0, 0.01))
    found = calibrate({"made": [image(i) for i in range(400)]}, planner, None, 0, as_they_come)
    found.save(tmp_path)
    tuned = replace(planner, calibration=replace(Calibration.load(tmp_path), refuse_above=1.0))
    scores = [tuned.plan(image(i).view.rgb, f"press #{i}").path.score for i in range(1000, 1300)]
    right = [np.random.default_rng(i).uniform(0.3, 1.0) / 2 for i in range(1000, 1300)]
    assert np.abs(np.array(scores) - right).mean() < 0.1 < 0.3 < np.mean(right)  # raw scores are twice what is right
    assert found.about["n"] == 400 == found.about["n_absent"] and found.about["seed"] == 0
    assert found.about["refused"]["in_view"] <= MAX_FALSE_REFUSALS and found.about["refused"]["absent"] > 0.8
    assert json.loads((tmp_path / "calibration.json").read_text())["format"] == 1


def test_without_negatives_nothing_is_refused():
    planner = VlmPlanner(Half(), PromptConfig("hamster", abstains=True))
    images = [replace(image(i), absent=()) for i in range(20)]
    assert calibrate({"made": images}, planner, None, 0, as_they_come).refuse_above == 1.0


def test_too_few_answers_are_an_error():
    with pytest.raises(ValueError, match="at least two"):
        calibrate({"made": [image(0)]}, VlmPlanner(Half(), PromptConfig("hamster")), None, 0, as_they_come)
