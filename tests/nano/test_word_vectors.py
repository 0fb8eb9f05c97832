"""Pretrained word vectors: their file, the embeddings made of them, and the script that builds them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hamster import nano
from hamster.nano import tokens
from hamster.nano.configuration import LAYOUT
from hamster.nano.word_vectors import FILE, WordVectors
from hamster.policy.monolithic.actor import MonolithicActor
from hamster.policy.monolithic.config import MonolithicConfig

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_word_vectors.py"
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]}  # fmt: skip
TEXTS = ["put the red cup on the plate"]


@pytest.fixture(scope="module")
def vectors():
    return WordVectors.read()


@pytest.fixture(scope="module")
def tokenizer(vectors):
    return nano.build_processor(TEXTS, listed_words=vectors.words).tokenizer


def new_model(tokenizer, vectors, **options):
    torch.manual_seed(0)
    config = nano.HamsterNanoConfig(
        len(tokenizer), learned_words=tokenizer.init_kwargs["learned_words"], **SMALL, **{**LAYOUT, **options}
    )
    model = nano.HamsterNanoForConditionalGeneration(config).eval()
    model.words.vectors.copy_(torch.from_numpy(vectors.table(tokenizer.get_vocab())))
    return model


@pytest.fixture(scope="module")
def model(tokenizer, vectors):
    return new_model(tokenizer, vectors)


def embedding(model, tokenizer, word):
    (token,) = tokenizer(word, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        return model.words.embed(torch.tensor(token))


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a, b, dim=-1))


def test_the_file_is_small_and_names_its_source(vectors):
    assert FILE.stat().st_size <= 3 * 2**20
    assert vectors.vectors.shape == (len(vectors.words), LAYOUT["word_vector_size"])
    assert all(word.isalpha() and word == word.lower() for word in vectors.words)
    assert "Apache License" in FILE.with_name("word_vectors.LICENSE").read_text()
    assert np.abs(vectors.vectors).max(1).min() == 127  # every word has a direction


def test_words_of_no_training_text_lie_near_their_synonyms(model, tokenizer):
    learned = tokenizer.init_kwargs["learned_words"]
    for word, near, far in (("mug", "teacup", "hammer"), ("crimson", "scarlet", "table"), ("grasp", "grab", "purple")):
        assert tokenizer(word, add_special_tokens=False)["input_ids"][0] >= learned
        of = embedding(model, tokenizer, word)
        assert cosine(of, embedding(model, tokenizer, near)) > cosine(of, embedding(model, tokenizer, far)) + 0.1


def test_words_outside_the_list_are_spelt_in_bytes_and_never_fail(model, tokenizer):
    pixels = torch.zeros(1, 3, tokens.PIXELS, tokens.PIXELS)
    for text in ("put the xqzzyv on it", "", "🥄 ложка 杯子", "cupcupcup", "\x00\x07", "a" * 60):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert all(tokens.BYTES <= token < len(tokenizer) for token in ids)
        sequence = torch.tensor([[tokens.IMAGE] * tokens.GRID**2 + ids + [tokens.ANS]])
        with torch.no_grad():
            assert bool(model(sequence, pixels).logits.isfinite().all())


def test_only_words_of_training_texts_are_learned(model, tokenizer):
    learned = tokenizer.init_kwargs["learned_words"]
    assert model.words.token.num_embeddings == learned < len(tokenizer)
    for word in ["put", "the", "red", "cup", "on", "plate"]:
        assert tokenizer(word, add_special_tokens=False)["input_ids"][0] < learned


def test_training_leaves_learned_embeddings_out_at_random(tokenizer, vectors):
    model = new_model(tokenizer, vectors, word_dropout=0.5).train()
    (cup,) = tokenizer("cup", add_special_tokens=False)["input_ids"]
    ids = torch.full((400,), cup)
    torch.manual_seed(1)
    once = model.words.embed(ids)
    torch.manual_seed(1)
    assert torch.equal(once, model.words.embed(ids))
    full = model.eval().words.embed(ids[:1])
    share = float(torch.isclose(once, full, atol=1e-5).all(-1).float().mean())
    assert 0.4 < share < 0.6
    marks = torch.arange(tokens.IMAGE, tokens.WORDS)
    assert torch.equal(model.train().words.embed(marks), model.eval().words.embed(marks))


def test_a_saved_model_keeps_its_vectors(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    again = nano.HamsterNanoForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float16)
    assert again.words.vectors.dtype == torch.int8
    assert torch.equal(again.words.vectors, model.words.vectors)
    assert again.config.learned_words == tokenizer.init_kwargs["learned_words"]


def test_the_monolithic_policy_starts_from_all_embeddings(model, vectors, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    actor = MonolithicActor(MonolithicConfig(planner=str(tmp_path)))
    with torch.no_grad():
        assert torch.allclose(actor.token.weight, model.words.embed(torch.arange(len(tokenizer))), atol=1e-5)
    again = MonolithicActor(actor.config)
    again.load_state_dict(actor.state_dict())
    assert torch.equal(again.token.weight, actor.token.weight)


@pytest.mark.parametrize(
    "options",
    [
        {"word_vector_size": -1},
        {"learned_words": 3, "word_vector_size": 8},
        {"learned_words": 700},
        {"word_dropout": 1.0},
        {"word_vector_size": "x"},
    ],
)
def test_absurd_options_are_refused(options):
    with pytest.raises(ValueError, match="learned_words from 583 to vocab_size 600"):
        nano.HamsterNanoConfig(600, **options)


@pytest.mark.parametrize("content", [b"", b"x" * 40, None])
def test_a_damaged_file_is_refused(tmp_path, content):
    file = tmp_path / "v.safetensors"
    if content is None:
        save_file({"words": np.frombuffer(b"a\nb", np.uint8), "vectors": np.zeros((3, 4), np.int8)}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"v\.safetensors"):
        WordVectors.read(file)


def test_the_script_builds_the_same_file_from_the_same_model(tmp_path, monkeypatch):
    words = ["cup", "mug", "red", "crimson", "put", "place"]
    entries = {name: i for i, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words[:5], "pla", "##ce"])}
    raw = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path / "m")
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(entries), hidden_size=80, num_hidden_layers=1, num_attention_heads=2,
                         intermediate_size=16)).save_pretrained(tmp_path / "m")  # fmt: skip
    (tmp_path / "words.txt").write_text("\n".join([*words, "Cup"]))
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for file in files:
        arguments = [str(tmp_path / "m"), "--words", str(tmp_path / "words.txt"), "--out", str(file)]
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert files[0].read_bytes() == files[1].read_bytes()
    built = WordVectors.read(files[0])
    assert built.words == tuple(words)
    assert built.vectors.shape == (6, LAYOUT["word_vector_size"])
