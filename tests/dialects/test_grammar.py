"""Regular expressions of answers, refusals, and answers that were cut off."""

import re
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hamster.dialects import (
    AUTO,
    DIALECTS,
    ScaledSize,
    close_truncated,
    grammar,
    parse,
    refusal,
    render,
    unsupported_fields,
)
from hamster.dialects.regex import quoted, up_to
from hamster.path import NotInViewError, Path2D, PlanError
from tests.dialects.test_all import THREE, paths_in_space

SIZE = (640, 480)
dialects = pytest.mark.parametrize("dialect", list(DIALECTS))


@cache
def compiled(dialect, size=SIZE):
    return re.compile(grammar(dialect, size, 40))


@dialects
@settings(max_examples=25, deadline=None)
@given(path=paths_in_space())
def test_what_is_rendered_keeps_to_the_grammar(dialect, path):
    assert compiled(dialect).fullmatch(render(path, dialect, SIZE))


@dialects
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_keeps_to_the_grammar_is_a_path(dialect, data):
    text = data.draw(st.from_regex(re.compile(grammar(dialect, SIZE, 3), re.ASCII), fullmatch=True))
    path = parse(text, dialect, SIZE)
    assert 1 <= len(path) <= 3
    assert parse(render(path, dialect, SIZE), dialect, SIZE).uv.shape == path.uv.shape


@dialects
def test_only_so_many_waypoints(dialect):
    assert not re.fullmatch(grammar(dialect, SIZE, 2), render(THREE, dialect, SIZE))


@given(st.integers(0, 3000), st.integers(1, 4), st.integers(0, 40000))
def test_numbers_up_to_a_top(top, width, number):
    assume(len(str(top)) >= width)
    matches = re.fullmatch(up_to(top, width), f"{number:0{width}d}")
    assert bool(matches) == (number <= top)


@given(st.text(max_size=20))
def test_quoted_text_matches_itself(text):
    assert re.fullmatch(quoted(text), text)


@dialects
def test_a_cut_answer_is_ended_after_its_last_whole_waypoint(dialect):
    text, pattern = render(THREE, dialect, SIZE), grammar(dialect, SIZE)
    closing = DIALECTS[dialect].closing
    lengths = []
    for end in range(len(text)):
        if mended := close_truncated(text[:end], pattern, closing):
            assert re.fullmatch(pattern, mended)
            path = parse(mended, dialect, SIZE)
            assert (abs(path.uv - parse(text, dialect, SIZE).uv[: len(path)]) < 1e-9).all() or dialect == "paligemma"
            lengths.append(len(path))
    assert lengths == sorted(lengths) and {1, 2} <= set(lengths)


@dialects
def test_a_refusal_is_an_answer_of_its_own(dialect):
    said = refusal(dialect)
    assert re.fullmatch(grammar(dialect, SIZE, refusals=True), said)
    assert not re.fullmatch(grammar(dialect, SIZE), said)
    for text in (said, f" {said}\n"):
        with pytest.raises(NotInViewError, match="is not in view") as caught:
            parse(text, dialect, SIZE)
        assert caught.value.raw_text == text


@pytest.mark.parametrize(
    "text", ["Not in view.", "<think>where?</think> not in view", "```\nnot in view\n```", "There are none."]
)
@pytest.mark.parametrize("dialect", ["hamster", "qwen3-vl", "compact", AUTO])
def test_other_ways_to_refuse(dialect, text):
    with pytest.raises(NotInViewError):
        parse(text, dialect)


@pytest.mark.parametrize("text", ["", ".", "<ans>", "view", "the cup is not in view of 500 people", "[]", "not"])
@pytest.mark.parametrize("dialect", [*DIALECTS, AUTO])
def test_what_is_no_refusal(dialect, text):
    with pytest.raises(PlanError) as caught:
        parse(text, dialect, SIZE)
    assert not isinstance(caught.value, NotInViewError)


def test_pixels_of_the_image_as_the_model_sees_it():
    path = Path2D([[0.5, 0.25]], [-1])
    seen = ScaledSize(28, 56)  # smaller than Qwen2.5-VL's own limits allow
    text = render(path, "qwen2.5-vl", seen)
    assert '"point_2d": [14, 14]' in text and parse(text, "qwen2.5-vl", seen) == path
    assert re.fullmatch(grammar("qwen2.5-vl", seen), text)
    assert parse(text, "qwen2.5-vl", (28, 56)) != path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("254317c560402o", "up to a full stop"),
        ("254 317 c 560 402 o.", "up to a full stop"),
        ("254317-00812 c560402o.", "up to a full stop"),
        ("254317-00812c560402o.", "1 of 2 points have a depth"),
        ("254317-00000.", "not a distance"),
        ("254317. 254318.", "an answer unlike"),
        ("254317" * 101 + ".", "more than 100 points"),
    ],
)
def test_what_is_not_compact(text, reason):
    with pytest.raises(PlanError, match=reason):
        parse(text, "compact")


def test_compact_is_compact():
    path = Path2D([[0.254, 0.317], [0.56, 0.402]], [0, 1])
    assert render(path, "compact") == "254317c560402o."
    assert parse("I see it. 254317c560402o. 254317c560402o.", "compact") == path
    assert unsupported_fields(THREE, "compact") == []
    with pytest.raises(ValueError, match="too large for this dialect"):
        render(Path2D([[0, 0]], [0], [100.0]), "compact")
