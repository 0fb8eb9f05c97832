import numpy as np
import pytest
import torch
from PIL import Image

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor, tokens
from hamster.nano.confidence import confidence
from hamster.nano.grammar import AnswerGrammar, refusal_log_odds
from hamster.nano.refusal import p_not_in_view

TEXTS = ["pick up the red block", "press the button , please", "knock over the bottle"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64,
         "image_layers": 1, "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]}  # fmt: skip


@pytest.fixture(scope="module")
def processor():
    return build_processor(TEXTS)


def _model(processor, heads):
    torch.manual_seed(0)
    config = HamsterNanoConfig(len(processor.tokenizer), presence_heads=heads, **SIZES)
    return HamsterNanoForConditionalGeneration(config).eval()


@pytest.fixture(scope="module")
def model(processor):
    return _model(processor, 4)


@pytest.fixture(scope="module")
def inputs(processor):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)) for _ in TEXTS]
    chats = [
        [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]
        for image, text in zip(images, TEXTS, strict=True)
    ]
    return processor.apply_chat_template(
        chats, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs={"padding": True},
    )  # fmt: skip


def _said(model, inputs, above):
    length = inputs["input_ids"].shape[1]
    out = model.generate(
        **inputs, max_new_tokens=tokens.MAX_ANSWER, do_sample=False, return_dict_in_generate=True, output_logits=True,
        logits_processor=[AnswerGrammar(length, refuse_above=above)],
    )  # fmt: skip
    return out.sequences[:, length:], out.logits


def test_step_by_step_it_is_what_it_is_in_one_pass(model, inputs):
    said, logits = _said(model, inputs, 1.0)
    assert (said[:, 0] == tokens.ANS).all()
    stepwise = refusal_log_odds(logits[1][:, tokens.ANSWER]).sigmoid()
    torch.testing.assert_close(stepwise, p_not_in_view(model, inputs), atol=1e-5, rtol=1e-4)


def test_training_reads_what_generation_reads(model, inputs):
    text = [row[row >= tokens.BYTES] for row in inputs["input_ids"]]
    longest = max(map(len, text))
    ids = torch.zeros(3, 1, longest + 2, dtype=torch.long)
    for i, row in enumerate(text):
        ids[i, 0, : len(row) + 2] = torch.cat([row, torch.tensor([tokens.ANS, tokens.END])])
    with torch.inference_mode():
        read = model.read_blocks(inputs["pixel_values"], ids)
        alone = model.read_presence(inputs["pixel_values"], ids)
    begins = refusal_log_odds(read.logits)[ids == tokens.ANS]
    torch.testing.assert_close(begins, alone[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(begins.sigmoid(), p_not_in_view(model, inputs), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("heads", [0, 4])
def test_the_threshold_decides(processor, inputs, heads):
    model = _model(processor, heads)
    p = p_not_in_view(model, inputs).sort().values
    between = float((p[0] + p[1]) / 2)
    said, _ = _said(model, inputs, between)
    refused = (said[:, 1] == tokens.END).tolist()
    assert sorted(refused) == [False, True, True] and not refused[int(p_not_in_view(model, inputs).argmin())]
    assert (_said(model, inputs, 1.0)[0][:, 1] != tokens.END).all()


def test_an_untaught_one_refuses_little_and_draws_the_same_paths(processor, inputs, tmp_path):
    old = _model(processor, 0)
    old.save_pretrained(tmp_path)
    new = HamsterNanoForConditionalGeneration.from_pretrained(tmp_path, presence_heads=4).eval()
    assert float(p_not_in_view(new, inputs).max()) < 0.3
    assert torch.equal(_said(old, inputs, 1.0)[0], _said(new, inputs, 1.0)[0])


def test_gradients_of_presence_alone_reach_nothing_else(processor, inputs):
    model = _model(processor, 4).train()
    ids = torch.full((3, 2, 5), tokens.WORDS)
    model.read_presence(inputs["pixel_values"], ids).sum().backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert taught and all(name.startswith("presence.") for name in taught)


def test_confidence_is_shared_by_neighbours_and_lost_where_it_matters():
    patch, near, far = tokens.PATCHES + 5 * 16 + 5, tokens.PATCHES + 6 * 16 + 6, tokens.PATCHES + 15 * 16 + 15
    said = [tokens.ANS, *[patch, tokens.OFFSETS] * 2, tokens.CLOSE, patch, tokens.OFFSETS, tokens.END]

    def sure(first, second, last, mark=tokens.CLOSE):
        logits = torch.full((len(said), tokens.WORDS), -30.0)
        for i, token in enumerate(said):
            logits[i, token] = 0.0
        logits[1, first] = logits[3, second] = logits[5, mark] = logits[6, last] = 0.0
        return confidence(said, logits)

    assert sure(patch, patch, patch) == pytest.approx(1) == sure(near, near, near)
    assert sure(far, patch, patch) == pytest.approx(1)  # where the gripper is, everybody sees
    assert sure(patch, far, patch) == pytest.approx(0.5) == sure(patch, patch, far)
    assert sure(patch, far, far) == pytest.approx(0.25) == sure(patch, far, patch, tokens.OPEN)
