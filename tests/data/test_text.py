from __future__ import annotations

import codecs
import json

import pytest

from hamster.data.text import decode_text, instruction_from_name, lines_of, natural_key


@pytest.mark.parametrize(
    "data",
    [
        "é\u2028".encode(),
        codecs.BOM_UTF8 + "é\u2028".encode(),
        "é\u2028".encode("utf-16"),
        codecs.BOM_UTF16_BE + "é\u2028".encode("utf-16-be"),
        "é\u2028".encode("utf-32"),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_text(data):
    assert decode_text(data, "a.txt") == "é\u2028"


def test_what_is_no_text_is_named():
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8 text \(byte 1\)"):
        decode_text(b"a\xff", "a.txt")
    assert decode_text(b"a\xff", "a.txt", "replace") == "a\ufffd"


def test_only_line_feeds_end_a_line():
    text = json.dumps({"task": "a\u2028b\u0085c\x0bd"}, ensure_ascii=False)
    assert lines_of(text + "\r\n" + text + "\n") == [text, text, ""]


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("ep_0_have_the_r_in_the_left_cup", "have the r in the left cup"),
        ("00_human_place_coke_can_upright", "place coke can upright"),
        ("pick-orange-and-place-in-top-drawer-2", "pick orange and place in top drawer"),
        ("KITCHEN put 2 cups away", "KITCHEN put 2 cups away"),
        ("IMG_pick the cup_1234", "pick the cup"),
        ("turn left", "turn left"),
        ("human_demo", ""),
        ("IMG_1234", ""),
        ("5ed85189_012", ""),
        ("20d7e5d4_003", ""),
        ("front_camera", ""),
        ("WhatsApp Video 2024-01-02 at 10.11.12", ""),
        ("cup", ""),
        ("___", ""),
        ("7", ""),
        ("", ""),
    ],
)
def test_a_file_name_is_an_instruction_if_it_has_two_real_words(stem, words):
    assert instruction_from_name(stem) == words


def test_numbers_in_names_sort_as_numbers_whatever_characters_look_like_digits():
    names = ["episode10", "episode9", "episode1²2", "a"]
    assert sorted(names, key=natural_key) == ["a", "episode1²2", "episode9", "episode10"]
