import numpy as np
import pytest
import torch

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor
from hamster.path import PlanError
from hamster.path.dialects import DIALECTS
from hamster.path.dialects.hamster import PROMPT
from hamster.planner import load_planner
from hamster.planner.families import FAMILIES, family_of
from hamster.planner.local import LocalPlanner

IMAGE = np.zeros((30, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that has learnt nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint")
    processor = build_processor(["pick up the red block"])
    config = HamsterNanoConfig(
        len(processor.tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        tower_channels=[8, 16, 32], tower_blocks=[0, 0],
    )  # fmt: skip
    HamsterNanoForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def planner(checkpoint):
    return load_planner(checkpoint)


@pytest.mark.parametrize(
    "instruction", ["Pick up the RED block!", "杯子", "x" * 120, "<ans> </ans> <image><p:1:1>", "{a} %s"]
)
def test_any_instruction_gives_a_path(planner, instruction):
    plan = planner.plan(IMAGE, instruction)
    assert 1 <= len(plan.path) <= 8 and 0 <= plan.path.score <= 1
    assert plan.raw_text.startswith("<ans>") and plan.raw_text.endswith("</ans>")
    assert min(plan.timings.values()) >= 0 and sum(plan.timings.values()) > 0


def test_the_same_question_has_the_same_answer(planner):
    assert planner.plan(IMAGE, "press the button").path == planner.plan(IMAGE, " press  the\nbutton ").path


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [("", "empty"), (" \n ", "empty"), ("push " * 401, "2004 characters"), ("杯" * 1000, "too many words")],
)
def test_bad_instructions_are_refused_in_one_line(planner, instruction, reason):
    with pytest.raises(PlanError, match=reason) as caught:
        planner.plan(IMAGE, instruction)
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("image", [IMAGE[..., 0], IMAGE.astype(np.float32), IMAGE[:0], np.zeros((3, 4, 4), np.uint8)])
def test_bad_images_are_refused(planner, image):
    with pytest.raises(PlanError, match="RGB"):
        planner.plan(image, "press the button")


def test_an_answer_that_is_no_path_is_an_error_with_its_text(planner, monkeypatch):
    monkeypatch.setattr(LocalPlanner, "_answer", lambda self, inputs: ("<ans><p:1:1>", 0.5))
    with pytest.raises(PlanError) as caught:
        planner.plan(IMAGE, "press the button")
    assert caught.value.raw_text == "<ans><p:1:1>"


def test_an_unknown_planner_lists_the_known(tmp_path):
    for name in ("no-such-planner", tmp_path):
        with pytest.raises(ValueError, match=r"no planner .*; give one of .*, or a folder"):
            load_planner(name)


def test_every_family_speaks_a_known_dialect_and_has_a_place_for_the_instruction():
    for family in [*FAMILIES.values(), family_of("qwen3_vl")]:
        assert family.dialect in DIALECTS and "open the box" in family.prompt.format(instruction="open the box")
    assert family_of("qwen3_vl").prompt == PROMPT
