import pytest
import torch

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, tokens
from hamster.nano.height import is_bin

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "image_layers": 1, "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]}  # fmt: skip
WORD = tokens.BYTES + 7
IMAGE = [tokens.IMAGE] * tokens.GRID**2


def _model(height_size):
    torch.manual_seed(0)
    return HamsterNanoForConditionalGeneration(HamsterNanoConfig(height_size=height_size, **SIZES)).eval()


def _answer(waypoints):
    places = [(tokens.PATCHES + 17 * i + 3, tokens.OFFSETS + 5 * i) for i in range(waypoints)]
    flat = [token for place in places for token in place]
    return [tokens.ANS, *flat[:2], tokens.CLOSE, *flat[2:], tokens.END]


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(1, 3, tokens.PIXELS, tokens.PIXELS, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_module_changes_no_logits_and_a_model_without_it_says_so(pixels):
    ids = torch.tensor([[*IMAGE, WORD, *_answer(3)]])
    with_it, without = _model(16), _model(0)
    assert not any(name.startswith("height.") for name in without.state_dict())
    with_it.load_state_dict(without.state_dict(), strict=False)
    with torch.inference_mode():
        assert torch.equal(with_it(ids, pixels).logits, without(ids, pixels).logits)
    with pytest.raises(ValueError, match="without the module for height"):
        without.waypoint_heights(ids, torch.ones_like(ids), pixels)


def test_each_waypoint_has_a_height_whatever_else_is_in_the_batch(pixels):
    model, rows = _model(16), [[WORD, *_answer(3)], [WORD, WORD, *_answer(1)], [WORD, tokens.ANS, tokens.END]]
    # Prompts are padded on the left, answers on the right.
    left, longest = [1, 0, 1], max(map(len, rows)) + 1
    padded = [[tokens.PAD] * n + IMAGE + row for n, row in zip(left, rows, strict=True)]
    ids = torch.tensor([row + [tokens.PAD] * (len(IMAGE) + longest - len(row)) for row in padded])
    mask = torch.ones_like(ids)
    mask[torch.tensor(left) > 0, 0] = 0
    heights_m = model.waypoint_heights(ids, mask, pixels.expand(3, -1, -1, -1))
    assert [len(row) for row in heights_m] == [3, 1, 0]
    for row, height_m in zip(rows[:2], heights_m, strict=False):
        one = torch.tensor([IMAGE + row])
        [alone] = model.waypoint_heights(one, torch.ones_like(one), pixels)
        torch.testing.assert_close(height_m, alone, atol=1e-4, rtol=1e-4)


def test_training_reads_what_generation_reads(pixels):
    model, row = _model(16), [WORD, *_answer(4)]
    ids = torch.tensor([[row]])
    assert model.height is not None
    with torch.inference_mode():
        read = model.read_blocks(pixels, ids)
        patch = torch.tensor([token - tokens.PATCHES for token in row if tokens.PATCHES <= token < tokens.OFFSETS])
        expected = model.height(read.states[is_bin(ids)], read.features[0, patch])
    whole = torch.tensor([IMAGE + row])
    [height_m] = model.waypoint_heights(whole, torch.ones_like(whole), pixels)
    torch.testing.assert_close(height_m, expected, atol=1e-4, rtol=1e-4)
