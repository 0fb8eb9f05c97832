import contextlib
import itertools
import json
import pickle
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hamster.data import Drawing, Unreadable
from hamster.data.sketch import Sketch, instruction_of
from hamster.data.strokes import of_json, of_svg

PHOTO = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)  # 160 x 120


def drawn(row, colour=(0, 255, 0)):
    out = PHOTO.copy()
    out[row : row + 4, 20:140] = colour
    return out


def save(folder, name, rgb):
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(rgb).save(folder / name)


def index(folder, *rows):
    (folder / "index.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))


def test_an_index_says_what_drawings_show(tmp_path):
    save(tmp_path, "a.png", drawn(40))
    save(tmp_path, "photo.png", PHOTO)
    index(tmp_path, {"file": "a.png", "instruction": "push the block", "clean": "photo.png"}, {"file": "photo.png"})
    source = Sketch(tmp_path)
    assert len(source) == 2 and source.uri == f"sketch:{tmp_path}"
    drawing = source[0]
    assert drawing.instruction == "push the block" and (drawing.rgb == drawn(40)).all()
    assert (drawing.clean == PHOTO).all() and drawing.siblings == () and len(drawing.provenance.sha256) == 64
    assert pickle.loads(pickle.dumps(source))[0].instruction == "push the block"


def test_other_drawings_of_the_scene_are_siblings_where_the_pictures_agree(tmp_path):
    save(tmp_path, "put_cup_on_tray_1.png", drawn(40))
    save(tmp_path, "put_cup_on_tray_2.png", drawn(80))
    save(tmp_path, "put_cup_on_tray_3.png", 255 - PHOTO)
    save(tmp_path, "push_the_box_1.png", drawn(60))
    source = Sketch(tmp_path)
    by_name = {source[i].provenance.file: source[i] for i in range(len(source))}
    assert [s.tolist() for s in by_name["put_cup_on_tray_1.png"].siblings] == [drawn(80).tolist()]
    assert by_name["put_cup_on_tray_3.png"].siblings == () == by_name["push_the_box_1.png"].siblings
    assert by_name["push_the_box_1.png"].instruction == "push the box"


@pytest.mark.parametrize(
    "clean",
    ["lift the lid_clean.png", "clean/lift the lid.png", "lift the lid_original.jpg", "lift the lid_clean.webp"],
)
def test_clean_pictures_are_found_by_name_and_are_no_drawings(tmp_path, clean):
    save(tmp_path, "lift the lid.png", drawn(40))
    save(tmp_path, clean, PHOTO)
    source = Sketch(tmp_path)
    assert len(source) == 1
    assert source[0].clean is not None and source[0].instruction == "lift the lid"


def test_a_drawing_may_be_a_webp(tmp_path):
    Image.fromarray(drawn(40)).save(tmp_path / "lift the lid.webp", lossless=True)
    assert (Sketch(tmp_path)[0].rgb == drawn(40)).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d/pick-orange-and-place-in-top-drawer-2.png", "pick orange and place in top drawer"),
        ("open_the_door_plain_12.jpg", "open the door"),
        ("IMG_0012.png", ""),
        ("sketch_00001.png", ""),
    ],
)
def test_a_name_says_what_is_shown_if_it_is_a_sentence(name, words):
    assert instruction_of(name) == words


SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120"><defs><path d="M0 0L9 9"/></defs>
<g transform="translate(10 20) scale(2)">{}</g></svg>"""


@pytest.mark.parametrize(
    "shape",
    [
        '<path d="M 5 5 L 25 5 L 25 15"/>',
        '<path d="m5,5 20,0 0,10"/>',
        '<path d="M5 5h20v10"/>',
        '<polyline points="5,5 25,5 25,15"/>',
    ],
)
def test_svg_lines_come_out_where_they_are_seen(tmp_path, shape):
    (tmp_path / "push the red block.svg").write_text(SVG.format(shape))
    save(tmp_path, "push the red block.png", PHOTO)
    source = Sketch(tmp_path)
    assert len(source) == 1
    drawing = source[0]
    assert drawing.rgb is None and (drawing.clean == PHOTO).all() and drawing.instruction == "push the red block"
    assert np.allclose(drawing.strokes[0], np.array([[20, 30], [60, 30], [60, 50]]) / [160, 120])


@pytest.mark.parametrize(
    ("d", "through", "end"),
    [
        ("M0 0 Q 50 100 100 0", (50, 50), (100, 0)),
        ("M0 0 C 0 40 100 40 100 0", (50, 30), (100, 0)),
        ("m0 0 q 25 50 50 0 t 50 0", (75, -25), (100, 0)),
        ("M0 0 A 50 50 0 0 0 100 0", (50, 50), (100, 0)),
        ("M0 0 H 60 V 60 Z", (30, 30), (0, 0)),
    ],
)
def test_svg_curves_pass_where_they_should(d, through, end):
    line = of_svg(f'<svg width="200px" height="200px"><path d="{d}"/></svg>'.encode()).lines[0]
    assert np.allclose(line[0], 0) and np.allclose(line[-1], end)
    ends = itertools.pairwise(line)
    assert min(np.linalg.norm(np.linspace(a, b, 200) - through, axis=1).min() for a, b in ends) < 1.0


def test_an_svg_names_its_photograph_and_where_it_lies(tmp_path):
    save(tmp_path, "photos/p.png", PHOTO)
    (tmp_path / "one.svg").write_text(
        '<svg viewBox="0 0 400 400"><title>push the cup away</title><image href="photos/p.png" x="40" y="40" '
        'width="320" height="240"/><polyline points="40,40 360,280"/><circle cx="200" cy="160" r="20"/></svg>'
    )
    source = Sketch(tmp_path)
    drawing = next(source[i] for i in range(len(source)) if source[i].rgb is None)
    assert (drawing.clean == PHOTO).all() and drawing.instruction == "push the cup away"
    assert np.allclose(drawing.strokes[0], [[0, 0], [1, 1]])
    assert np.allclose(drawing.strokes[1].mean(0), 0.5, atol=0.01)


LINE = [[10.0, 20.0], [30.0, 40.0], [50.0, 10.0], [60.0, 60.0]]


@pytest.mark.parametrize(
    "layout",
    [
        LINE,
        [LINE],
        [[[*p, 0.5] for p in LINE]],
        {"strokes": [LINE], "width": 100, "height": 80},
        {"strokes": [{"points": LINE}]},
        {"strokes": [[{"x": x, "y": y, "t": 3} for x, y in LINE]]},
        {"drawing": [[[10, 30, 50, 60], [20, 40, 10, 60]]]},
        {"drawing": [[[10, 30, 50, 60], [20, 40, 10, 60], [0, 1, 2, 3]]]},
        {"lines": [{"x": [10, 30, 50, 60], "y": [20, 40, 10, 60]}]},
        {"paths": {"points": LINE}},
        [[[10, 30, 50, 60], [20, 40, 10, 60]]],
        [[10, 20, 0], [20, 20, 0], [20, -30, 0], [10, 50, 1]],
    ],
)
def test_every_layout_of_json_gives_the_same_stroke(layout):
    strokes = of_json(layout)
    assert len(strokes.lines) == 1 and np.allclose(strokes.lines[0], LINE)
    assert strokes.frame == ((0, 0, 100, 80) if isinstance(layout, dict) and "width" in layout else None)


@pytest.mark.parametrize(
    ("strokes", "size", "expected"),
    [
        ([[[80, 60], [160, 120]]], {}, [[0.5, 0.5], [1, 1]]),
        ([[[0.5, 0.5], [1, 1]]], {}, [[0.5, 0.5], [1, 1]]),
        ([[[50, 50], [100, 100]]], {"size": [100, 100]}, [[0.5, 0.5], [1, 1]]),
    ],
)
def test_strokes_become_relative_to_their_canvas_else_to_the_picture(tmp_path, strokes, size, expected):
    save(tmp_path, "put it there.png", PHOTO)
    (tmp_path / "put it there.json").write_text(json.dumps({"strokes": strokes, **size}))
    assert np.allclose(Sketch(tmp_path)[0].strokes[0], expected)


BOMB = '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><svg><title>&b;</title><path d="M0 0L1 1"/></svg>'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a b.svg", BOMB, "not SVG"),
        ("a b.svg", "<svg><path d='M0 0", "not SVG"),
        ("a b.svg", "<svg/>", "no strokes"),
        ("a b.svg", '<svg viewBox="0 0 9 9"><path d="M0 0L1e999 1"/></svg>', "finite"),
        ("a b.svg", '<svg viewBox="0 0 9 9"><image href="../../x.png" width="9" height="9"/>'
         '<path d="M0 0L1 1"/></svg>', "outside"),
        ("a b.json", "[[[1, 2], [NaN, 3]]]", "finite"),
        ("a b.json", '{"strokes": 3}', "no strokes"),
        ("a b.json", '{"strokes": [["a", "b"]]}', "layout"),
        ("a b.json", "[" * 100_000, "nested"),
        ("a b.json", "[[[0, 0], [50, 5000]]]", "canvas"),
        ("a b.png", "not a picture", "PNG"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_hostile_says_why(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    if not name.endswith("png"):
        save(tmp_path, "a b.png", PHOTO)
    item = Sketch(tmp_path)[0]
    assert isinstance(item, Unreadable) and item.file == name and reason in item.reason


def svg(content):
    return f'<svg viewBox="0 0 9 9">{content}</svg>'.encode()


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        ('<path d="M0 0' + "L1 1 " * 1_400_000 + '"/>', "512 KiB of path data"),
        ('<polyline points="' + "1,1 " * 100_000 + '"/>', "40000 coordinates"),
        ('<path d="M0 0' + "t1 1" * 19_000 + '"/>', "200000 points"),
        ('<path d="M0 0t' + "1 1 " * 19_000 + '"/>', "200000 points"),
        ('<path d="M0 0' + "Z" * 30_000 + '"/>', "500 closed paths"),
        ('<path d="M0 0' + "L 1 1Z" * 501 + '"/>', "500 closed paths"),
        ('<path d="M0 0H' + "1 " * 50_000 + '"/>', "40000 coordinates"),
        ('<path d="' + "m" * 30_000 + '"/>', "20000 path commands"),
        ('<path d="' + "M0 0L1 1" * 3000 + '"/>', "2000 strokes"),
        ('<path d="M0 0L1 1"/>' * 50_000, "20000 elements"),
        ('<path d="M0 0L1 1"/>' * 2500, "2000 strokes"),
        ('<g transform="' + "scale(1)" * 300 + '"/>', "transform of more than 2000 characters"),
        ('<path transform="matrix(nan 0 0 1 0 0)" d="M0 0L1 1"/>', "a transform that is none"),
        ('<path transform="scale(1e300) scale(1e300)" d="M0 0L1 1"/>', "not finite"),
        ('<g transform="scale(2)">' * 5000 + '<path d="M0 0L1 1"/>' + "</g>" * 5000, "not finite"),
        ('<defs><path id="a" d="M0 0L1 1"/></defs>' + '<use href="#a"/>' * 100, "no strokes"),
    ],
)
def test_svg_that_would_take_long_names_its_limit_at_once(content, limit):
    began = time.process_time()
    with pytest.raises(ValueError, match=limit):
        of_svg(svg(content))
    assert time.process_time() - began < 4


def test_what_is_long_but_no_path_is_no_matter():
    content = '<path stroke-dasharray="' + "1 " * 500_000 + '" d="M0 0L1 1"/><!--' + "x" * 3_000_000 + "-->"
    assert len(of_svg(svg(content)).lines) == 1


def test_the_largest_svg_that_is_read_takes_seconds():
    began = time.process_time()
    assert len(of_svg(svg('<path d="M0 0' + "L1 1" * 19_000 + "Z" * 499 + '"/>')).lines[0]) > 19_000
    assert time.process_time() - began < 8


def test_a_canvas_without_end_is_none():
    with pytest.raises(ValueError, match="finite"):
        of_svg(b'<svg viewBox="0 0 1e999 1e999"><path d="M0 0L1 1"/></svg>')


def test_svg_that_is_slow_all_the_same_is_given_up(monkeypatch):
    monkeypatch.setattr("hamster.data.strokes.TIMEOUT_S", 0.0)
    with pytest.raises(ValueError, match="longer than 0 s"):
        of_svg(svg('<path d="M0 0L1 1"/>' * 100))


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ([[[1, 2], [3, 4]]] * 2001, "2000 strokes"),
        ([[1, 2]] * 200_001, "200000 points"),
        ({"drawing": [[[1] * 200_001, [2] * 200_001]]}, "200000 points"),
        ([[1, 1, 0], [1, 1, 1]] * 5000, "2000 strokes"),
        ([[10**400, 1], [2, 3]], "layout"),
    ],
)
def test_json_of_absurd_size_names_its_limit(value, limit):
    with pytest.raises(ValueError, match=limit):
        of_json(value)


def test_a_bad_line_of_the_index_costs_itself_only(tmp_path):
    save(tmp_path, "a.png", drawn(40))
    (tmp_path.parent / "out.png").write_bytes((tmp_path / "a.png").read_bytes())
    rows = ["{", '{"file": 3}', {"file": "../out.png"}, {"file": "a.gif"}, {"file": "no.png"}, {"file": "a.png"}]
    index(tmp_path, *rows)
    source = Sketch(tmp_path)
    assert [isinstance(source[i], Drawing) for i in range(len(source))] == [False] * 5 + [True]
    assert "outside" in source[2].reason


def test_no_drawings_at_all_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no drawings"):
        Sketch(tmp_path)
    with pytest.raises(ValueError, match="sketch:DIR"):
        Sketch(tmp_path / "nowhere")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["x", "points"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "y", "points", "strokes"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_crashes_it(value):
    with contextlib.suppress(ValueError):
        assert all(np.isfinite(line).all() and line.shape[1] == 2 for line in of_json(value).lines)


@given(st.text("MmLlCcQqZzAaSsTtHhVv0123456789.,- eE", max_size=40))
def test_no_path_crashes_it(d):
    with contextlib.suppress(ValueError):
        of_svg(f'<svg><path d="{d}"/></svg>'.encode())
