import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor
from hamster.nano.grammar import AnswerGrammar
from hamster.path import Path2D, PlanError
from hamster.planner import Plan, load_planner
from hamster.planner.backend import Completion

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
    [("", "empty"), (" \n ", "empty"), ("push " * 401, "2004 characters"), ("杯" * 1000, "too long for this model")],
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
    monkeypatch.setattr(planner.backend, "generate", lambda *_: [[Completion("<ans><p:1:1>")]])
    with pytest.raises(PlanError) as caught:
        planner.plan(IMAGE, "press the button")
    assert caught.value.raw_text == "<ans><p:1:1>"


def test_an_unknown_planner_lists_the_known(tmp_path):
    for name in ("no-such-planner", tmp_path):
        with pytest.raises(ValueError, match=r"no planner .*; give one of .*, or a folder"):
            load_planner(name)
    with pytest.raises(ValueError, match=r"no planner 'nanoo' \(did you mean 'nano'\?\); give one of nano"):
        load_planner("nanoo")


WORDS = ["put the red cube on the blue plate", "press the green button", "knock over the yellow bottle", "go"]


def pictures():
    rng = np.random.default_rng(5)
    for _ in WORDS:
        image = Image.new("RGB", (240, 180), (180, 170, 150))
        for i, colour in enumerate(rng.permutation(["red", "green", "blue", "yellow"])[:3]):
            x, y = 30 + 70 * i + int(rng.integers(0, 20)), int(rng.integers(40, 130))
            ImageDraw.Draw(image).rectangle([x, y, x + 30, y + 30], fill=str(colour))
        yield np.asarray(image)


def test_it_answers_what_plain_transformers_does(planner):
    """Alone and together, as with nothing but `generate` and the grammar of location tokens."""
    images = list(pictures())
    together = planner.plan_many(images, WORDS)
    for image, words, plan in zip(images, WORDS, together, strict=True):
        content = [{"type": "image", "image": Image.fromarray(image)}, {"type": "text", "text": words}]
        inputs = planner.backend.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip
        length = inputs["input_ids"].shape[1]
        out = planner.backend.model.generate(
            **inputs.to(planner.backend.model.device), do_sample=False, max_new_tokens=32,
            logits_processor=[AnswerGrammar(length)],
        )  # fmt: skip
        said = planner.backend.processor.tokenizer.decode(out[0, length:])
        assert plan.raw_text == planner.plan(image, words).raw_text == said


def test_a_plan_takes_a_path_several_paths_or_waypoints():
    path = Path2D([[0.1, 0.2], [0.3, 0.4]], [-1, 0])
    assert Plan(path).paths == (path,) and Plan([path, path]).paths == (path, path)
    for waypoints in ([[0.1, 0.2], [0.3, 0.4]], np.array([[0.1, 0.2], [0.3, 0.4]]), [(0.1, 0.2), (0.3, 0.4)]):
        plan = Plan(waypoints)
        assert plan.path.uv.tolist() == path.uv.tolist() and not plan.path.events and plan.raw_text == ""
    with pytest.raises(PlanError, match="at least one path"):
        Plan([])
    with pytest.raises(ValueError, match="uv"):
        Plan([[0.1, 0.2], [0.3, 1.4]])
