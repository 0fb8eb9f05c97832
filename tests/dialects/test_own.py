import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster import dialects
from hamster.dialects import DIALECTS, hamster, nano_tokens, parse, render
from hamster.path import Gripper, Path2D, PlanError
from hamster.planner.prompts import PromptConfig
from tests.path.strategies import paths, points

OWN = ["hamster", "nano-tokens"]  # read more strictly than what other people's models print
C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
PUBLISHED = (
    "<ans>[(0.25, 0.32), (0.32, 0.17), (0.13, 0.24), <action>Open Gripper</action>, (0.74, 0.21), "
    "<action>Close Gripper</action>, (0.5, 0.5)]</ans>"
)


def complaint(text, dialect="hamster"):
    with pytest.raises(PlanError) as caught:
        parse(text, dialect)
    assert caught.value.raw_text == text
    assert "\n" not in caught.value.reason and len(caught.value.reason) < 200
    return caught.value.reason


def test_the_published_example():
    path = parse(PUBLISHED)
    assert path.uv.tolist() == [[0.25, 0.32], [0.32, 0.17], [0.13, 0.24], [0.74, 0.21], [0.5, 0.5]]
    assert path.gripper.tolist() == [U, U, O, C, C]
    assert path.events == [(2, O), (3, C)]
    assert render(path) == PUBLISHED.replace("(0.5, 0.5)", "(0.50, 0.50)")


@given(paths(), st.integers(0, 6))
def test_hamster_round_trip(path, decimals):
    again = hamster.parse(hamster.render(path, decimals))
    assert np.abs(again.uv - path.uv).max() <= 0.5 * 10**-decimals + 1e-9
    assert np.array_equal(again.gripper, path.gripper)
    assert hamster.render(again, decimals) == hamster.render(path, decimals)


@given(paths())
def test_nano_round_trip(path):
    again = parse(render(path, "nano-tokens"), "nano-tokens")
    assert np.abs(again.uv - path.uv).max() <= 0.5 / nano_tokens.LEVELS + 1e-9
    assert np.array_equal(again.gripper, path.gripper)
    assert parse(render(again, "nano-tokens"), "nano-tokens") == again


@given(points())
def test_cells_are_in_range_and_invert(uv):
    cells = nano_tokens.cells_from_uv(uv)
    assert cells.min() >= 0 and cells[:, :2].max() < nano_tokens.PATCHES and cells[:, 2:].max() < nano_tokens.BINS
    assert np.array_equal(nano_tokens.cells_from_uv(nano_tokens.uv_from_cells(cells)), cells)


def test_nano_says_row_then_column():
    x, y = (2 * 8 + 7 + 0.5) / 128, (5 * 8 + 1 + 0.5) / 128
    text = "<ans><p:5:2><s:1:7><close></ans>"
    assert render(Path2D([[x, y]], [C]), "nano-tokens") == text
    assert parse(text, "nano-tokens") == Path2D([[x, y]], [C])


@pytest.mark.parametrize(
    "text",
    [
        "First I look at the cup. <ans>[(0.1, 0.2), (0.3, 0.4)]</ans>",
        "<ans>[(0.1, 0.2), (0.3, 0.4)]</ans> The gripper then stops.",
        "<ans>\n[ ( 0.1,0.2 )\t,\r\n(0.3 ,0.4) ]\n</ans>",
        "<ans>[(0.1, 0.2), (0.3, 0.4),]</ans>",
        "<ans>[(.1, 2e-1), (+0.3, 0.40)]</ans>",
        "[{'type': 'text', 'text': '<ans>[(0.1, 0.2), (0.3, 0.4)]</ans>'}]",
    ],
)
def test_what_cannot_be_misunderstood_is_read(text):
    assert parse(text) == Path2D([[0.1, 0.2], [0.3, 0.4]], [U, U])


@pytest.mark.parametrize("tag", ["<action>close gripper</action>", "<action> Close\nGripper </action>"])
def test_tags_may_have_either_case_and_spaces(tag):
    assert parse(f"<ans>[(0.1, 0.2), {tag}]</ans>").events == [(0, C)]


def many(n):
    return "<ans>[" + ", ".join(["(0.5, 0.5)"] * n) + "]</ans>"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no <ans> tag at character 0"),
        ("I cannot do that.", "no <ans> tag"),
        ("[(0.1, 0.2), (0.3, 0.4)]", "no <ans> tag"),
        ("[(0.1, 0.2)]</ans>", "no <ans> tag before </ans> at character 12"),
        ("</ans> <ans>[(0.1, 0.2)]", "</ans> before any <ans> at character 0"),
        ("<ans>[(0.1, 0.2), (0.3", "cut off: <ans> at character 0 is never closed; the text ends at character 22"),
        ("<ans>[(0.1, 0.2)]</ans", "cut off"),
        ("<ans>[(0.1, 0.2), (0.3</ans>", "expected ',', found the end of the answer at character 22"),
        ("<ans>[(0.1, 0.2)</ans>", "expected ']'"),
        ("<ans>[(0.1, 0.2)]</ans><ans>[(0.3, 0.2)]</ans>", "a second <ans>"),
        ("<ans><ans>[(0.1, 0.2)]</ans></ans>", "a second <ans>"),
        ("<ans>[(0.1, 0.2)]</ans></ans>", "a second </ans> at character 23"),
        ("<ans></ans>", "expected '['"),
        ("<ans>[]</ans>", "no points"),
        ("<ans>[,]</ans>", "expected a point"),
        ("<ans>(0.1, 0.2), (0.3, 0.4)</ans>", "expected '['"),
        (
            "<ans>[(0.1, 0.2), ...]</ans>",
            "expected a point (x, y) or <action>Open|Close Gripper</action>, found '...]'",
        ),
        ("<ans>[(0.1, 0.2),, (0.3, 0.4)]</ans>", "expected a point"),
        ("<ans>[(0.1, 0.2) (0.3, 0.4)]</ans>", "expected ']', found '(0.3, 0.4)]'"),
        ("<ans>[(0.1, 0.2), then (0.3, 0.4)]</ans>", "found 'then (0.3, 0' at character 18"),
        ("<ans>[(0.1, 0.2)] and so on</ans>", "expected </ans>"),
        ("<ans>[[0.1, 0.2], [0.3, 0.4]]</ans>", "expected a point"),
        ("<ans>[((0.1, 0.2), (0.3, 0.4))]</ans>", "expected a number for x"),
        ("<ans>[(0.1, 0.2, 0.3)]</ans>", "expected ')'"),
        ("<ans>[(0.1)]</ans>", "expected ','"),
        ("<ans>[(0.1, )]</ans>", "expected a number for y"),
        ("<ans>[(nan, 0.2)]</ans>", "expected a number for x, found 'nan, 0.2)]'"),
        ("<ans>[(inf, 0.2)]</ans>", "expected a number for x"),
        ("<ans>[(-Infinity, 0.2)]</ans>", "expected a number for x"),
        ("<ans>[(1e999, 0.2)]</ans>", "x = 1e999 is not in [0, 1] at character 7"),
        ("<ans>[(0.1, 1.01)]</ans>", "y = 1.01 is not in [0, 1] at character 12"),
        ("<ans>[(-0.1, 0.2)]</ans>", "x = -0.1"),
        ("<ans>[(534, 439)]</ans>", "x = 534"),
        ("<ans>[(0." + "1" * 5000 + "e9, 0.2)]</ans>", "is not in [0, 1]"),
        ("<ans>[(٠.٥, 0.2)]</ans>", "expected a number for x"),
        ("<ans>[(０.5, 0.2)]</ans>", "expected a number for x"),
        ("<ans>[(0.1,\u00a00.2)]</ans>", "expected a number for y"),
        ("<ans>[(0x1, 0.2)]</ans>", "expected ','"),
        ("<ans>[(0_1, 0.2)]</ans>", "expected ','"),
        ("<ans>[(__import__('os'), 0.2)]</ans>", "expected a number for x"),
        ("<ans>[<action>Close Gripper</action>, (0.1, 0.2)]</ans>", "a gripper action before any point at character 6"),
        ("<ans>[(0.1, 0.2), <action>Drop It</action>]</ans>", "expected a point (x, y) or <action>"),
        ("<ans>[(0.1, 0.2), <action>Open Gripper]</ans>", "expected a point (x, y) or <action>"),
        (
            "<ans>[(0.1, 0.2), <action>Open Gripper</action>, <action>Close Gripper</action>]</ans>",
            "a second gripper action for point 1 at character 49",
        ),
        (many(1000), "more than 100 points"),
        ("<ans>" * 1000, "never closed"),
        ("x" * (1 << 21), "longer than"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, what):
    assert what in complaint(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<p:1:1><s:1:1>", "no <ans> tag"),
        ("<ans></ans>", "no points"),
        ("<ans><p:1:1><s:1:1>", "cut off"),
        ("<ans><p:1:1></ans>", "expected a bin <s:R:C>, found the end of the answer at character 12"),
        ("<ans><s:1:1></ans>", "expected a patch"),
        ("<ans><p:1:1><p:1:2></ans>", "expected a bin"),
        ("<ans><p:16:1><s:1:1></ans>", "<p:16:1> lies outside 16 x 16 at character 5"),
        ("<ans><p:1:1><s:1:8></ans>", "<s:1:8> lies outside 8 x 8"),
        ("<ans><p:-1:1><s:1:8></ans>", "expected a patch"),
        ("<ans><close><p:1:1><s:1:1></ans>", "a gripper action before any point"),
        ("<ans><p:1:1><close><s:1:1></ans>", "expected a bin"),
        ("<ans><p:1:1><s:1:1><close><open></ans>", "a second gripper action"),
        ("<ans><p:1:1><s:1:1> and <close></ans>", "found 'and <close>'"),
        ("<ans><p:٣:1><s:1:1></ans>", "expected a patch"),
        ("<ans>" + "<p:1:1><s:1:1>" * 101 + "</ans>", "more than 100 points"),
    ],
)
def test_nano_is_as_strict(text, what):
    assert what in complaint(text, "nano-tokens")


def test_a_hundred_points_are_read():
    assert len(parse(many(100))) == 100


@pytest.mark.parametrize("dialect", OWN)
def test_a_cut_anywhere_is_never_read_as_a_path(dialect):
    text = render(Path2D([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [U, C, O]), dialect)
    for end in range(len(text)):
        complaint(text[:end], dialect)


@pytest.mark.parametrize("dialect", OWN)
def test_paths_without_words_are_refused(dialect):
    with pytest.raises(ValueError, match="simplify"):
        render(Path2D(np.full((101, 2), 0.5), np.full(101, U)), dialect)
    with pytest.raises(ValueError, match="unknown"):
        render(Path2D([[0, 0], [1, 1]], [O, U]), dialect)


def test_an_unknown_dialect_names_the_known_ones():
    with pytest.raises(ValueError, match="hamster, nano"):
        parse("", "klingon")


SYMBOLS = ["<ans>", "</ans>", "[", "]", "(", ")", ",", " ", "0.5", "1", ".", "-", "e9", "nan", "<action>", "</action>"]
SYMBOLS += ["Open Gripper", "close gripper", "<open>", "<close>", "<p:1:2>", "<s:3:4>", "<p:", "<s:", ":", ">", "\n"]


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from(SYMBOLS), max_size=25).map("".join),
        st.lists(st.sampled_from(SYMBOLS), max_size=15).map(lambda parts: f"<ans>{''.join(parts)}</ans>"),
    ),
    st.sampled_from(OWN),
)
def test_any_text_is_a_path_or_a_plan_error(text, dialect):
    try:
        path = parse(text, dialect)
    except PlanError as error:
        assert error.raw_text == text and "at character" in error.reason
    else:
        assert np.array_equal(parse(render(path, dialect), dialect).gripper, path.gripper)


@pytest.mark.parametrize("dialect", OWN)
def test_a_damaged_answer_is_a_path_or_a_plan_error(dialect):
    rng = random.Random(0)
    whole = render(Path2D([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [U, C, O]), dialect)
    read = 0
    for _ in range(3000):
        text = whole
        for _ in range(rng.randint(1, 3)):
            at, gone = rng.randint(0, len(text)), rng.randint(0, 3)
            text = text[:at] + rng.choice(["", *SYMBOLS]) + text[at + gone :]
        try:
            path = parse(text, dialect)
        except PlanError as error:
            assert error.raw_text == text
        else:
            read += 1
            assert path.uv.min() >= 0 and path.uv.max() <= 1
    assert 0 < read < 1500


def test_the_former_name_of_nano_tokens_is_understood_without_a_warning(recwarn):
    path = Path2D([[0.25, 0.5]], [C])
    assert "nano" in DIALECTS and "nano" not in DIALECTS.names()
    assert parse(render(path, "nano"), "nano") == parse(render(path, "nano-tokens"), "nano-tokens")
    assert PromptConfig("nano") == PromptConfig("nano-tokens") and not recwarn.list


@pytest.mark.parametrize(("former", "name"), [("lost", "unsupported_fields"), ("closed", "close_truncated")])
def test_former_names_of_functions_give_a_deprecation_line(former, name):
    with pytest.warns(DeprecationWarning, match=name):
        assert getattr(dialects, former) is getattr(dialects, name)
