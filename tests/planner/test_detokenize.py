"""Tokens' texts, of whatever tokenizer: together they are the answer."""

import numpy as np
import pytest

from hamster.planner.detokenize import token_strings
from hamster.planner.load_model import load_processor
from tests.planner.tiny import tiny

SAID = ["<ans>[(0.25, 0.32)]</ans>", "naïve — 雪 🤖 und so", " two  spaces ", "🤖", ""]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_processor(tiny("qwen3_vl", tmp_path_factory.mktemp("tiny"))).tokenizer


@pytest.mark.parametrize("text", SAID)
def test_together_they_are_the_text(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = token_strings(ids, tokenizer.decode)
    assert len(pieces) == len(ids) and "".join(pieces) == text
    if text.isascii():
        assert list(pieces) == [tokenizer.decode([i]) for i in ids]


def test_a_character_of_several_tokens_is_said_by_the_last(tokenizer):
    ids = tokenizer("a🤖b", add_special_tokens=False)["input_ids"]
    assert token_strings(ids, tokenizer.decode) == ("a", "", "", "", "🤖", "b")


def test_whatever_is_said_nothing_gets_lost(tokenizer):
    rng = np.random.default_rng(0)
    for _ in range(200):
        ids = rng.integers(0, len(tokenizer), 12).tolist()
        assert "".join(token_strings(ids, tokenizer.decode)) == tokenizer.decode(ids)


def test_a_space_that_only_stands_between_words_is_kept():
    """SentencePiece's way: a token alone has none."""
    assert token_strings([0, 1, 2], lambda ids: " ".join(["go", "to", "it"][i] for i in ids)) == ("go", " to", " it")
