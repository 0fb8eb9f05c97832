import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hamster.dialects import parse, render
from hamster.nano import build_processor, tokens
from hamster.path import Gripper, Path2D

UNITS = st.floats(0, 1, allow_nan=False)
POINTS = st.lists(st.tuples(UNITS, UNITS, st.sampled_from([0, tokens.OPEN, tokens.CLOSE])), min_size=1, max_size=8)


def _text(ids):
    names = tokens.special_tokens()
    return "".join(names[token] for token in ids)


def _arrays(points):
    uv, event = np.zeros((1, 8, 2), np.float32), np.zeros((1, 8), np.int8)
    for i, (u, v, e) in enumerate(points):
        uv[0, i], event[0, i] = (u, v), e
    return uv, event, np.array([len(points)])


@given(POINTS)
def test_answers_say_their_path_in_the_nano_dialect(points):
    uv, event, count = _arrays(points)
    ids, length = tokens.pack(*tokens.answer_tokens(uv, event, count))
    path = parse(_text(ids[0, : length[0]]), "nano-tokens")
    assert np.abs(path.uv - uv[0, : len(points)]).max() <= 0.5 / tokens.SIDE + 1e-5
    expected = {tokens.OPEN: Gripper.OPEN, tokens.CLOSE: Gripper.CLOSED}
    said = [expected[e] for _, _, e in points if e]
    assert path.gripper[-1] == (said[-1] if said else Gripper.UNKNOWN)


@given(POINTS)
def test_the_dialect_writes_the_same_tokens(points):
    uv, _, count = _arrays(points)
    quiet = np.zeros((1, 8), np.int8)
    ids, length = tokens.pack(*tokens.answer_tokens(uv, quiet, count))
    path = Path2D(uv[0, : len(points)], np.full(len(points), -1, np.int8))
    assert _text(ids[0, : length[0]]) == render(path, "nano-tokens")


@given(POINTS, st.integers(0, 99))
def test_a_nudged_patch_keeps_its_bin_as_near_as_it_can(points, seed):
    uv, event, count = _arrays(points)
    nudge = np.random.default_rng(seed).uniform(-1, 1, (1, 8, 2)).astype(np.float32)
    ids, length = tokens.pack(*tokens.answer_tokens(uv, event, count, nudge))
    path = parse(_text(ids[0, : length[0]]), "nano-tokens")
    assert np.abs(path.uv - uv[0, : len(points)]).max() <= 1.6 / tokens.SIDE


def test_packing_keeps_the_order_of_each_row():
    slots = np.array([[5, 6, 7], [5, 6, 7]])
    packed, length = tokens.pack(slots, np.array([[True, False, True], [False, False, True]]))
    assert packed.tolist() == [[5, 7], [7, 0]] and length.tolist() == [2, 1]


def test_the_tokenizer_agrees_about_every_special_token():
    tokenizer = build_processor(["a word"]).tokenizer
    assert tokenizer.convert_tokens_to_ids(tokens.special_tokens()) == list(range(tokens.BYTES))


def test_unknown_words_are_spelt_and_case_does_not_matter():
    tokenizer = build_processor(["Pick up the red block", "rare pick"], ["mug"], fewest=2).tokenizer

    def ids(text):
        return tokenizer(text)["input_ids"]

    assert ids("PICK") == ids("pick") and len(ids("pick")) == 1 == len(ids("mug"))
    assert all(tokens.BYTES <= i < tokens.WORDS for i in ids("block")[1:])
    assert tokens.UNK not in ids("Größe 杯子 🦾 rare")
    assert tokenizer.decode(ids("杯子")).strip() == "杯子"
