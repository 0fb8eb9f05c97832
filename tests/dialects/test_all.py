"""What holds for every dialect."""

import pathlib
import random
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.dialects import AUTO, DIALECTS, SizeNeededError, parse, read, render, unsupported_fields
from hamster.path import Gripper, Path2D, PlanError
from tests.path.strategies import paths

C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
SIZE = (640, 480)
THREE = Path2D([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [U, C, O], [0.5, 0.75, 1.25])
OPEN_ENDED = {"paligemma"}  # has no closing mark: what is cut off between two points cannot be seen

ONE_PER_FORM = ["hamster", "nano-tokens", "molmo2", "paligemma", "qwen2.5-vl", "embodied-r1"]

dialects = pytest.mark.parametrize("dialect", list(DIALECTS))
sizes = st.tuples(st.integers(28, 3000), st.integers(28, 3000))


@st.composite
def paths_in_space(draw):
    path = draw(paths())
    if not draw(st.booleans()):
        return path
    depths = st.lists(st.floats(0.0625, 20, width=32), min_size=len(path), max_size=len(path))
    return Path2D(path.uv, path.gripper, np.array(draw(depths)))


@dialects
@settings(max_examples=15, deadline=None)
@given(path=paths_in_space(), size=sizes)
def test_what_is_rendered_is_read_back(dialect, path, size):
    text = render(path, dialect, size)
    again = parse(text, dialect, size)
    said = DIALECTS[dialect]
    assert again.uv.shape == path.uv.shape
    # Half a step, and at the far edge a whole one: there is no place beyond the last.
    allowed = np.where(path.uv > 1 - np.array(said.resolution(size)), 1, 0.5) * said.resolution(size)
    assert (np.abs(again.uv - path.uv) <= allowed + 1e-9).all()
    assert again.gripper.tolist() == (path.gripper.tolist() if said.says_gripper else [U] * len(path))
    if said.says_depth and path.depth_m is not None:
        assert np.abs(again.depth_m - path.depth_m).max() <= 0.0005 + 1e-9
    else:
        assert again.depth_m is None
    assert render(again, dialect, size) == text or not said.says_gripper
    assert parse(render(again, dialect, size), dialect, size) == again


@dialects
def test_a_cut_is_never_read_as_the_whole(dialect):
    text = render(THREE, dialect, SIZE)
    for end in range(len(text)):
        try:
            path = parse(text[:end], dialect, SIZE)
        except PlanError as error:
            assert (
                error.raw_text == text[:end] and "at character" in error.reason
            ) or "up to character" in error.reason
        else:
            assert dialect in OPEN_ENDED and len(path) <= 3


@dialects
def test_no_more_than_a_hundred_points(dialect):
    hundred = Path2D(np.full((100, 2), 0.5), np.full(100, U))
    assert len(parse(render(hundred, dialect, SIZE), dialect, SIZE)) == 100
    with pytest.raises(ValueError, match="simplify"):
        render(Path2D(np.full((101, 2), 0.5), np.full(101, U)), dialect, SIZE)
    with pytest.raises(ValueError, match="unknown"):
        render(Path2D([[0, 0], [1, 1]], [O, U]), dialect, SIZE)


@dialects
def test_what_is_lost_is_named(dialect):
    missing = unsupported_fields(THREE, dialect)
    again = parse(render(THREE, dialect, SIZE), dialect, SIZE)
    assert ("the depth" in missing) == (again.depth_m is None)
    assert ("2 gripper event(s)" in missing) == (again.events == [])
    assert unsupported_fields(Path2D([[0, 0]], [U]), dialect) == []


@dialects
def test_pixels_need_the_size_of_the_image(dialect):
    text = render(THREE, dialect, SIZE)
    if DIALECTS[dialect].needs_size:
        with pytest.raises(SizeNeededError, match="--image-size"):
            parse(text, dialect)
    else:
        assert parse(text, dialect) == parse(text, dialect, SIZE)


@dialects
def test_auto_never_reads_a_text_as_another_dialect_means_it(dialect):
    text = render(THREE, dialect, SIZE)
    try:
        read_as = read(text, AUTO, SIZE)
    except PlanError as error:
        assert dialect in error.reason
    else:
        assert read_as.meaning == read(text, dialect, SIZE).meaning


SYMBOLS = [
    "<ans>", "</ans>", "[", "]", "(", ")", "{", "}", ",", ":", " ", "\n", '"', "'", "\\", "0.5", "1", "77", "500",
    "-", ".", "e9", "nan", "null", "<action>Open Gripper</action>", "<open>", "<p:1:2>", "<s:3:4>", '"point_2d": [',
    '"point": [', '"point_3d": [5, 5, 0.5]', '"bbox_2d": [1, 2, 3, 4]', '"label": "1"', '"gripper": "close"',
    "```json\n", "```", "<point>", "</point>", '<point x="5" y="6">', '<points x1="1" y1="2"', ">", "</points>",
    "<tracks ", '<points coords="1 1 ', "<loc0001>", "<loc", "<loc0001><loc0002>", " ; ", "<think>", "</think>",
    "<answer>", "</answer>", "'answer': '", "The trajectory of the end effector is ", "...", "²", "\u00a0", "\x00",
]  # fmt: skip
anything = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(SYMBOLS), max_size=30).map("".join),
    st.lists(st.sampled_from(SYMBOLS), max_size=15).map(lambda parts: f"<ans>[{''.join(parts)}]</ans>"),
)


@settings(max_examples=300, deadline=None)
@given(anything, st.sampled_from([*DIALECTS, AUTO]))
def test_any_text_is_a_path_or_a_plan_error(text, dialect):
    check(text, dialect)


def check(text, dialect):
    """Whether it is a path; anything but a path or a PlanError is a bug."""
    try:
        path = parse(text, dialect, SIZE)
    except PlanError as error:
        assert error.raw_text == text and "\n" not in error.reason and len(error.reason) < 420
        return False
    assert path.uv.min() >= 0 and path.uv.max() <= 1 and len(path) <= 100
    return True


@dialects
def test_a_damaged_answer_is_a_path_or_a_plan_error(dialect):
    rng = random.Random(0)
    whole = "I look at the cup (the red one). " + render(THREE, dialect, SIZE)
    read_ = 0
    for _ in range(200):
        text = whole
        for _ in range(rng.randint(1, 3)):
            at, gone = rng.randint(0, len(text)), rng.randint(0, 3)
            text = text[:at] + rng.choice(["", *SYMBOLS]) + text[at + gone :]
        read_ += check(text, dialect)
    assert 0 < read_ < 180


UNITS = [
    "[", "[[", "[a", "(1,", "(1, 2) ", "[1,2]", "[[1,2],", "{'a':", '{"point_2d": [1, 2]},', '"', "\\", '\\"', " ", "1",
    "'answer':'", "<answer>", "<answer></answer>", "<think>", "</think>", "```", "```json\n[1,2]```", "<action>", "x='",
    "<point>", '<point x="1" y="2">a</point>', "<points x1=' ", '<points coords="', "1 1 500 500 ", "<loc0001>", "<loc",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_is_refused_or_read_at_once(unit):
    text = (unit * ((1 << 15) // len(unit) + 1))[: 1 << 15]
    began = time.process_time()
    for dialect in ONE_PER_FORM:
        check(text, dialect)
        check("[<points coords='" + text, dialect)
    assert time.process_time() - began < 3  # a tenth of that; what is not linear takes minutes


def test_the_documentation_has_every_dialect_with_an_example_that_is_read():
    table = (pathlib.Path(__file__).parents[2] / "docs" / "dialects.md").read_text(encoding="utf-8")
    rows = [re.split(r" ?\| ?", line)[1:-1] for line in table.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(DIALECTS)
    for name, _, _, example, missing in rows:
        path = parse(example.strip("`"), name.strip("`"), SIZE)
        assert np.abs(path.uv - [[0.25, 0.5], [0.75, 0.25]]).max() < 0.005
        assert (path.depth_m is None) == ("depth" in missing) and (path.events == []) == ("gripper" in missing)
