import time

import pytest
import torch

from hamster.nano import tokens
from hamster.path import NotInViewError
from hamster.planner import load_planner
from hamster.planner.calibration import Calibration
from hamster.planner.grounding import grounding
from hamster.planner.load import BUNDLED, bundled_planners
from hamster.sim.tabletop import TabletopImages, TabletopLanguage
from hamster.sim.tabletop.language_images import ROWS

NANO = BUNDLED / "nano"

pytestmark = pytest.mark.skipif(not (NANO / "config.json").is_file(), reason="no checkpoint is bundled in this tree")


@pytest.mark.parametrize("name", bundled_planners())
def test_it_is_small_and_holds_nothing_to_unpickle(name):
    files = [file for file in (BUNDLED / name).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 20 * 2**20
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".jinja"}


@pytest.mark.parametrize("name", bundled_planners())
def test_it_answers_within_a_second_of_one_core(name):
    planner = load_planner(name)
    scene = TabletopImages(1, seed=4000)[0]  # of a picture without what it is asked for there would be no path
    planner.plan(scene.view.rgb, scene.annotations[0].instruction)  # the first call sets things up
    began = time.process_time()
    plan = planner.plan(scene.view.rgb, scene.annotations[1].instruction)
    assert time.process_time() - began <= 1.0
    assert 2 <= len(plan.path) <= 8 and len(plan.path.events) >= 1


def test_the_one_for_relations_tells_the_leftmost_from_the_rightmost():
    """Chance is a third."""
    planner, right = load_planner("nano-relations"), []
    for index in [list(ROWS).index(row) + len(ROWS) * i for i in range(10) for row in ("leftmost", "rightmost")]:
        image = TabletopLanguage(1000, seed=4000)[index]
        annotation = image.annotations[0]
        masks = (None if i is None else image.segmentation == i for i in (annotation.target, annotation.goal))
        path = planner.without_refusals().plan(image.view.rgb, annotation.instruction).path
        right.append(grounding(path, annotation.path, *masks, annotation.task)["path"])
    assert sum(right) >= 12


def _asked(scenes):
    """Whether it refuses: of each scene what is there, and what is not."""
    planner = load_planner("nano")
    images = [scene.view.rgb for scene in scenes]
    there, absent = [scene.annotations[0].instruction for scene in scenes], [scene.absent[0] for scene in scenes]
    return [[isinstance(p, NotInViewError) for p in planner.plan_many(images, words)] for words in (there, absent)]


def test_it_refuses_what_is_not_there_and_little_else():
    there, absent = _asked([scene for scene in TabletopImages(30, seed=4000) if scene.absent])
    assert len(absent) >= 25 and sum(absent) >= 0.85 * len(absent) and sum(there) <= 0.15 * len(there)


def test_its_scores_are_calibrated_and_say_on_what():
    found = Calibration.load(NANO)
    assert 0 < found.refuse_above < 1 and found.apply(0.05) < found.apply(0.5) < found.apply(0.95)
    assert found.about["n"] >= 400 and found.about["ece"] <= 0.05 and found.about["refused"]["absent"] > 0.9


def test_what_says_that_something_is_absent_changes_no_path():
    model = load_planner("nano").backend.model
    pixels = torch.rand(2, 3, tokens.PIXELS, tokens.PIXELS, generator=torch.Generator().manual_seed(0)) * 2 - 1
    words = [model.config.vocab_size - 1, model.config.vocab_size - 2]
    said = [tokens.ANS, tokens.PATCHES + 40, tokens.OFFSETS + 9, tokens.CLOSE, tokens.END]
    ids = torch.tensor([[tokens.IMAGE] * tokens.GRID**2 + words + said] * 2)
    with torch.inference_mode():
        with_it = model(ids, pixels).logits
        model.presence = None
        without = model(ids, pixels).logits
    begins = (ids == tokens.ANS)[..., None] & (torch.arange(with_it.shape[-1]) == tokens.END)
    assert torch.equal(with_it[~begins], without[~begins]) and not torch.equal(with_it[begins], without[begins])
