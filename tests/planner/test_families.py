"""Which dialects a model can mean, and what it sees, held against what its own processor makes of images."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from hamster.dialects import DIALECTS, parse, refusal, render
from hamster.dialects.hamster import PROMPT
from hamster.path import Path2D
from hamster.planner.families import (
    FAMILIES,
    Family,
    check_dialect,
    dialects_of,
    family_of,
    image_scaling,
    without_center_crop,
)
from hamster.planner.load_model import load_processor
from hamster.planner.prompts import PromptConfig, default_prompt, load_prompt_config
from tests.planner.tiny import TYPES, tiny

SIZES = [(64, 48), (300, 40), (28, 28), (1000, 700), (61, 97)]
DAMAGED = [
    "{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "dialect": "x"}', "[" * 20000,
    '{"format": 1, "dialect": "compact", "prompt": "no place"}', '{"format": 1, "dialect": 3}',
]  # fmt: skip
PATH = Path2D([[0.2, 0.1], [0.05, 0.15]], [-1, -1])


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {name: tiny(name, tmp_path_factory.mktemp(name)) for name in TYPES}


@pytest.fixture(scope="module")
def processors(checkpoints):
    return {name: load_processor(folder) for name, folder in checkpoints.items()}


def shown(processor, image):
    """What the model is given of an image, and its size in pixels if that is known."""
    out = processor.image_processor([without_center_crop(image, processor)], return_tensors="np")
    if "image_grid_thw" not in out:
        return out["pixel_values"], None
    _, rows, columns = out["image_grid_thw"][0]
    patch = processor.image_processor.patch_size
    return out["pixel_values"], (columns * patch, rows * patch)


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_the_size_that_a_model_sees_is_that_of_its_processors_grid(processors, model_type, size):
    processor = processors[model_type]
    _, pixels = shown(processor, Image.new("RGB", size))
    assert image_scaling(processor)(size) == (size if pixels is None else pixels)


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_taught_dialect_counts_in_what_the_processor_shows(processors, model_type, dialect):
    """Pixels can be meant if the processor shows pixels, and the dialect's own rounding is the processor's."""
    processor, frame = processors[model_type], DIALECTS[dialect].frame
    _, pixels = shown(processor, Image.new("RGB", (640, 480)))
    expected = frame == "relative" or (frame == "image's pixels" and pixels is not None)
    if frame == "scaled image's pixels":
        images = processor.image_processor
        expected = pixels is not None and images.patch_size * images.merge_size == 28
    assert (dialect in dialects_of(model_type, is_trained=True)) == expected
    if expected and pixels is not None:
        assert (
            np.abs(
                parse(render(PATH, dialect, image_scaling(processor)((640, 480))), dialect, pixels).uv - PATH.uv
            ).max()
            < 0.02
        )


@pytest.mark.parametrize("model_type", [*FAMILIES])
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_published_model_is_never_misread(model_type, dialect):
    allowed = dialects_of(model_type)
    assert family_of(model_type).dialect in allowed and set(allowed) <= set(dialects_of(model_type, is_trained=True))
    if dialect in allowed:
        check_dialect(model_type, dialect)
    else:
        with pytest.raises(
            ValueError, match=rf"^{re.escape(dialect)} .*; {model_type} goes with {re.escape(', '.join(allowed))}$"
        ):
            check_dialect(model_type, dialect)


def test_an_unknown_family_is_refused_with_how_to_add_it():
    with pytest.raises(ValueError, match=r"unknown VLM family 'qwen2_6_vl'\. Did you mean .*register_vlm"):
        family_of("qwen2_6_vl")
    FAMILIES.register("test_family", Family("qwen3-vl", "multiple_of_32"))
    check_dialect("test_family", "qwen3-vl")
    with pytest.raises(ValueError, match="goes with"):
        check_dialect("test_family", "qwen2.5-vl")


def test_the_pairings_that_cost_most():
    for model_type, dialect in [("qwen2_5_vl", "qwen3-vl"), ("qwen3_vl", "qwen2.5-vl"), ("llava", "qwen2.5-vl")]:
        with pytest.raises(ValueError, match="goes with"):
            check_dialect(model_type, dialect)
    check_dialect("qwen2_5_vl", "qwen3-vl", is_trained=True)
    with pytest.raises(ValueError, match="unknown dialect 'x'"):
        check_dialect("llava", "x")


def test_nothing_is_cut_away(processors):
    """LLaVA's processor would cut the sides off: what lies there must still be seen."""
    image = Image.new("RGB", (128, 32))
    image.paste((255, 255, 255), (0, 0, 8, 32))
    pixels, _ = shown(processors["llava"], image)
    assert pixels[0, 0, :, 0].min() > 0.5 > pixels[0, 0, :, 8].max()
    assert without_center_crop(image, processors["qwen3_vl"]) is image


@pytest.mark.parametrize("model_type", TYPES)
def test_what_lora_adapts(checkpoints, model_type):
    from hamster.planner.load_model import load_model

    model, _ = load_model(checkpoints[model_type], "cpu")
    names = [name for name, module in model.named_modules() if type(module).__name__ == "Linear"]
    family = family_of(model_type)
    language = {name for name in names if re.fullmatch(family.lora_language, name)}
    vision = {name for name in names if re.fullmatch(family.lora_vision, name)}
    assert language and vision and not language & vision
    rest = set(names) - language - vision
    assert all("lm_head" in name or name.endswith(("in_proj_a", "in_proj_b")) for name in rest), rest


def test_a_fine_tune_says_what_it_was_taught(checkpoints):
    folder = checkpoints["qwen2_5_vl"]
    assert load_prompt_config(folder, "qwen2_5_vl") == PromptConfig("qwen2.5-vl")
    taught = PromptConfig("compact", "do {instruction}", abstains=True)
    taught.save(folder)
    assert load_prompt_config(folder, "qwen2_5_vl") == taught
    assert json.loads((folder / "hamster.json").read_text())["format"] == 1
    PromptConfig("qwen2.5-vl").save(folder)
    with pytest.raises(ValueError, match="llava goes with"):
        load_prompt_config(folder, "llava")
    for damaged in DAMAGED:
        (folder / "hamster.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"hamster\.json cannot be used"):
            load_prompt_config(folder, "qwen2_5_vl")


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_every_dialect_can_be_asked_for(dialect):
    prompt_config = PromptConfig(dialect)
    asked = prompt_config.format_prompt("open the {instruction} box {0.__class__}", None, (640, 480))
    assert "open the {instruction} box {0.__class__}" in asked
    placed = prompt_config.format_prompt("go", (0.25, 0.5), (640, 480))
    assert (
        placed.startswith(prompt_config.format_prompt("go"))
        and placed.count("The current position of the robot gripper is: ") == 1
    )
    assert refusal(dialect) in default_prompt(dialect, abstains=True) or dialect in (
        "nano-tokens",
        "compact",
        "paligemma",
    )


def test_hamsters_own_words():
    assert PromptConfig("hamster").prompt == PROMPT
    assert PromptConfig("hamster").format_prompt("go", (0.254, 0.5)).endswith("gripper is: (0.25, 0.50).")
    assert PromptConfig("gemini-robotics-er").format_prompt("go", (0.25, 0.5)).endswith("(500, 250).")
