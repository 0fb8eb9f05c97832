import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor, tokens
from hamster.nano.configuration import LAYOUT
from hamster.nano.grammar import AnswerGrammar
from hamster.nano.targets import answer_loss, soft_targets

TEXTS = ["pick up the red block and put it on the green plate", "press the button", "knock over the bottle , please"]


@pytest.fixture(scope="module")
def processor():
    return build_processor(TEXTS)


@pytest.fixture(scope="module", params=[{}, LAYOUT], ids=["old layout", "new layout"])
def model(processor, request):
    torch.manual_seed(0)
    config = HamsterNanoConfig(
        len(processor.tokenizer), hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
        image_layers=1, tower_channels=[8, 16, 32], tower_blocks=[1, 1], **request.param,
    )  # fmt: skip
    return HamsterNanoForConditionalGeneration(config).eval()


def _image(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), np.uint8))


def _inputs(processor, count=3):
    chats = [
        [{"role": "user", "content": [{"type": "image", "image": _image(i)}, {"type": "text", "text": text}]}]
        for i, text in enumerate(TEXTS[:count])
    ]
    return processor.apply_chat_template(
        chats, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs={"padding": True},
    )  # fmt: skip


def _generate(model, inputs, **options):
    length = inputs["input_ids"].shape[1]
    out = model.generate(
        **inputs, max_new_tokens=tokens.MAX_ANSWER, do_sample=False, logits_processor=[AnswerGrammar(length)], **options
    )
    return out[:, length:]


def _answer(rng, waypoints):
    uv = rng.random((1, 8, 2)).astype(np.float32)
    event = np.array([[0, tokens.CLOSE, 0, tokens.OPEN, 0, 0, 0, 0]], np.int8)
    ids, _ = tokens.pack(*tokens.answer_tokens(uv, event, np.array([waypoints])))
    return ids[0].tolist()


def test_a_saved_model_comes_back_through_the_auto_classes(model, processor, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path, local_files_only=True).eval()
    reader = AutoProcessor.from_pretrained(tmp_path, local_files_only=True)
    assert type(again) is type(model) and type(reader) is type(processor)
    inputs, same = _inputs(processor), _inputs(reader)
    assert all(torch.equal(inputs[key], same[key]) for key in inputs)
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, again(**same).logits)
    assert list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob("*.bin"))


def test_the_cache_changes_nothing(model, processor):
    inputs = _inputs(processor)
    assert torch.equal(_generate(model, inputs, use_cache=True), _generate(model, inputs, use_cache=False))


def test_each_row_of_a_padded_batch_is_as_if_alone(model, processor):
    inputs = _inputs(processor)
    together = _generate(model, inputs)
    for row in range(3):
        real = inputs["attention_mask"][row].bool()
        alone = _generate(
            model,
            {
                "input_ids": inputs["input_ids"][row : row + 1, real],
                "attention_mask": inputs["attention_mask"][row : row + 1, real],
                "pixel_values": inputs["pixel_values"][row : row + 1],
            },
        )
        assert together[row, : alone.shape[1]].tolist() == alone[0].tolist()


def test_many_instructions_behind_one_image_are_as_if_alone(model, processor):
    """The training form against the ordinary one, sequence by sequence."""
    rng = np.random.default_rng(0)
    pixels = _inputs(processor, 2)["pixel_values"]
    rows = [[processor.tokenizer(text)["input_ids"] for text in TEXTS] for _ in range(2)]
    full = [[words + _answer(rng, 2 + k) for k, words in enumerate(row)] for row in rows]
    longest = max(len(ids) for row in full for ids in row)
    ids = torch.tensor([[each + [tokens.PAD] * (longest - len(each)) for each in row] for row in full])
    labels = ids.masked_fill((ids < tokens.ANS) | (ids >= tokens.BYTES), -100)
    with torch.no_grad():
        read = model.read_blocks(pixels, ids)
        logits = read.logits
        losses = []
        for b, row in enumerate(full):
            for k, each in enumerate(row):
                one = torch.tensor([[tokens.IMAGE] * 256 + each])
                target = torch.cat([torch.full((1, 256), -100), labels[b, k, : len(each)][None]], 1)
                out = model(input_ids=one, pixel_values=pixels[b : b + 1], labels=target)
                said = out.logits[0, 256:, tokens.ANSWER]
                torch.testing.assert_close(said, logits[b, k, : len(each)], atol=2e-4, rtol=1e-4)
                losses.append((out.loss, int((labels[b, k] >= 0).sum())))
    torch.testing.assert_close(read.pointers, logits[..., 4 : 4 + 256])
    flat = labels.flatten(0, 1)
    expected = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    torch.testing.assert_close(answer_loss(logits.flatten(0, 1)[:, :-1], flat[:, 1:]), expected, atol=1e-4, rtol=1e-4)


def test_what_is_said_later_does_not_change_what_was_said(model, processor):
    pixels = _inputs(processor, 1)["pixel_values"]
    one = torch.tensor([[[*processor.tokenizer(TEXTS[0])["input_ids"], *_answer(np.random.default_rng(1), 3)]]])
    other = one.clone()
    other[..., -3:] = tokens.CLOSE
    with torch.no_grad():
        first, second = (model.read_blocks(pixels, ids).logits for ids in (one, other))
    torch.testing.assert_close(first[..., :-3, :], second[..., :-3, :])
    assert not torch.allclose(first[..., -3:, :], second[..., -3:, :])


def test_a_location_carries_what_is_there(model, processor):
    """The same location token means another thing on another image."""
    one, other = _inputs(processor, 2)["pixel_values"]
    ids = torch.tensor([[tokens.PATCHES + 7]])
    with torch.no_grad():
        seen = [model.words.text(ids, torch.zeros(1, dtype=torch.long), model.tower(p[None])) for p in (one, other)]
    assert not torch.allclose(*seen)


def test_words_that_nobody_knows_are_read(model, processor):
    inputs = processor(images=[_image(0)], text=["<image>défenestrer 杯子"], return_tensors="pt")
    assert _generate(model, inputs).shape[1] >= 4


@pytest.mark.parametrize("count", [0, 100, 257])
def test_an_image_is_256_tokens(model, count):
    ids = torch.tensor([[tokens.IMAGE] * count + [tokens.ANS]])
    if count == 0:
        with pytest.raises(ValueError, match="pixel_values"):
            model(input_ids=ids)
    else:
        with pytest.raises(ValueError, match="256 tokens"):
            model(input_ids=ids, pixel_values=torch.zeros(1, 3, 192, 192))


def test_soft_targets_are_distributions_around_the_truth():
    ids = torch.tensor([tokens.ANS, tokens.PATCHES + 17, tokens.OFFSETS + 9, tokens.CLOSE, tokens.END])
    target = soft_targets(ids, torch.cat([ids[1:], ids[:1]]))
    torch.testing.assert_close(target.sum(1), torch.ones(5))
    assert target.argmax(1).tolist() == (ids - tokens.ANS).tolist()
    corner = soft_targets(torch.tensor([tokens.PATCHES + 17]), torch.tensor([tokens.OFFSETS]))[0, 4:260].reshape(16, 16)
    assert corner[1, 1] == corner.max() and corner[0, 1] > 0.05 > corner[2, 1]


def test_one_image_is_learnt_by_heart_in_seconds(processor):
    torch.manual_seed(0)
    config = HamsterNanoConfig(
        len(processor.tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_layers=0, tower_channels=[8, 16, 32], tower_blocks=[0, 1],
    )  # fmt: skip
    model = HamsterNanoForConditionalGeneration(config).train()
    inputs = _inputs(processor, 1)
    answer = _answer(np.random.default_rng(3), 4)
    ids = torch.tensor([[*inputs["input_ids"][0].tolist()[256:], *answer]])[None]
    labels = ids.masked_fill((ids < tokens.ANS) | (ids >= tokens.BYTES), -100)[0]
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        logits = model.read_blocks(inputs["pixel_values"], ids).logits
        loss = answer_loss(logits[0][:, :-1], labels[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert _generate(model.eval(), inputs)[0].tolist() == answer
