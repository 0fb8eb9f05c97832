"""Batches: asked as a planner asks, loss on answers alone, no image token ever cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.planner.backend import GenerationRequest
from hamster.planner.families import image_scaling
from hamster.planner.finetune.chat import IGNORED, ChatCollator
from hamster.planner.finetune.prepare import prepare_run
from hamster.planner.finetune.presets import PRESETS
from hamster.planner.finetune.token_lengths import context_of, select_fitting, token_counts
from hamster.planner.load_model import load_model
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.planner.transformers_backend import TransformersBackend
from tests.planner.finetune import made
from tests.planner.tiny import TYPES, tiny

CONFIG = replace(PRESETS["debug-lora"], steps=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [
        WeightedDataset(made.paths(folder / "paths", 3, absent=1)),
        WeightedDataset(made.talks(folder / "talks", 2)),
    ]


@pytest.fixture(scope="module", params=TYPES)
def asked(request, data, tmp_path_factory):
    """(model, run) of each architecture, on paths, refusals and talks."""
    folder = tmp_path_factory.mktemp(request.param)
    model, processor = load_model(tiny(request.param, folder / "base"), "cpu")
    return model, prepare_run(str(folder / "base"), model, processor, CONFIG, data, folder / "cache", None)


def _image_id(run):
    name = getattr(run.chat.processor, "image_token", "<image>")
    return run.chat.tokenizer.convert_tokens_to_ids(str(name))


def test_a_question_is_learned_token_by_token_as_it_will_be_asked(asked):
    model, run = asked
    backend = TransformersBackend(model, run.chat.processor)
    for index in np.flatnonzero(run.samples.is_instruction)[:2].tolist():
        row = run.samples.row(index)
        image = np.asarray(row["images"][0])
        text = run.prompt_config.format_prompt(
            run.samples.instruction(index), None, image_scaling(run.chat.processor)((64, 64))
        )
        ask, batch = backend.inputs([GenerationRequest(image, text)]), run.chat([row])
        length = ask["input_ids"].shape[1]
        assert torch.equal(ask["input_ids"], batch["input_ids"][:, :length])
        assert torch.equal(ask["pixel_values"], batch["pixel_values"])


def test_only_answers_carry_loss_and_all_of_them_do(asked):
    _, run = asked
    rows = [run.samples.row(int(i)) for i in np.flatnonzero(run.fit.fits)]
    batch = run.chat([row for row in rows if row["images"]])
    image = _image_id(run)
    for ids, labels, row in zip(batch["input_ids"], batch["labels"], [r for r in rows if r["images"]], strict=True):
        learned = labels != IGNORED
        assert torch.equal(ids[learned], labels[learned]) and not (labels == image).any()
        said = [m["content"][0]["text"] for m in row["completion"] if m["role"] == "assistant"]
        told = run.chat.tokenizer.decode(labels[learned])
        assert all(text in told for text in said) and told.rstrip().endswith(run.chat.ends)
        asked_for = [m["content"][-1]["text"] for m in row["completion"] if m["role"] == "user"]
        assert not any(text in told for text in asked_for)
    shown = (batch["input_ids"] == image).sum()
    assert shown == sum((run.chat.prompts([row])["input_ids"] == image).sum() for row in rows if row["images"])


def test_tokens_are_counted_exactly_without_reading_an_image(asked):
    _, run = asked
    usable = np.flatnonzero(run.fit.fits)
    assert run.fit.tokens[usable].tolist() == [
        int(run.chat([run.samples.row(i)])["attention_mask"].sum()) for i in usable.tolist()
    ]


def test_what_is_too_long_for_the_model_is_left_out_counted_and_never_cut(asked):
    model, run = asked
    tokens = token_counts(run.samples, np.arange(len(run.samples)), run.chat)
    limit = int(np.median(tokens))
    found = select_fitting(run.samples, tokens, run.chat, limit, need_image=False)
    too_long = found.left_out[f"longer than the model's context of {limit} tokens"]
    assert too_long == (tokens > limit).sum() > 0 and not found.fits[tokens > limit].any()
    assert context_of(model) == 4096 >= tokens.max()
    with pytest.raises(ValueError, match=r"none of .* can be used.*context of 5 tokens"):
        select_fitting(run.samples, tokens, run.chat, 5, need_image=False)


def test_samples_without_a_picture_are_left_out_where_one_is_needed(asked):
    model, run = asked
    tokens = np.ones(len(run.samples), np.int32)
    needed = select_fitting(run.samples, tokens, run.chat, None, need_image=True)
    assert needed.left_out == {"without a picture, which this model or FSDP needs": 1}
    assert select_fitting(run.samples, tokens, run.chat, None, need_image=False).fits.all() != (
        model.config.model_type == "paligemma"
    )


def test_marks_of_the_model_in_data_are_only_text(asked):
    _, run = asked
    mark = run.chat.tokenizer.convert_ids_to_tokens(_image_id(run))
    end = run.chat.ends[0]
    row = run.samples.row(int(run.train_samples[0]))
    row["prompt"][0]["content"][-1]["text"] += mark
    row["completion"][-1]["content"][0]["text"] += end + mark
    ids, _ = run.chat.tokens(row)
    assert ids.count(run.chat.tokenizer.convert_tokens_to_ids(end)) == 1 and _image_id(run) not in ids
    assert run.chat.prompt_text(row).count(mark) == 1


def test_a_template_that_rewrites_the_past_is_refused(asked):
    _, run = asked
    chat = ChatCollator(run.chat.processor, asked[0])
    row = run.samples.row(int(run.train_samples[0]))
    chat._text = lambda messages, ask: f"{len(messages)}"
    with pytest.raises(ValueError, match="changes earlier turns"):
        chat.tokens(row)
