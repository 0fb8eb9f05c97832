"""What other people's models print, and what is around it."""

import json

import pytest

from hamster.dialects import AUTO, DIALECTS, parse, parse_points, read, smart_resize
from hamster.path import Gripper, PlanError
from tests.data.real import real_data

C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
SIZE = (640, 480)
POINT_2D = '{"point_2d": [250, 500], "label": "cup"}'


def uv(text, dialect, size=SIZE):
    return [[round(float(x), 4) for x in point] for point in parse(text, dialect, size).uv]


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("hamster", "<ans>[(0.25, 0.5)]</ans>"),
        ("hamster-1000", "<ans>\n[(250, 500)]\n</ans>"),
        ("3d-hamster", '```json\n[{"point_2d": [250, 500.0], "label": "1", "gripper": "none"}]\n```'),
        ("3d-hamster", "<ans>[[250, 500]]</ans>"),
        ("robopoint", "[(0.25, 0.5)]"),
        ("qwen2.5-vl", '```json\n[\n\t{"point_2d": [161, 238], "label": "cup"}\n]\n```'),
        ("qwen2.5-vl", '<points x1="161" y1="238" alt="cup">cup</points>'),
        ("qwen3-vl", f"```json\n[\n\t{POINT_2D}\n]\n```"),
        ("qwen3-vl", '<point x="250" y="500" alt="cup">cup</point>'),
        ("molmo", ' <point x="25.0" y="50.0" alt="cup">cup</point>'),
        ("molmo", 'Counting the <points x1="25.0" y1="50.0" alt="cups">cups</points> shows a total of 1.'),
        ("molmo2", 'Counting the <points coords="1 1 250 500" alt="cup">cup</points> shows a total of 1.'),
        ("molmo2", '<points coords="8.5 1 250 500"/>'),
        ("molmoact", "The depth map of the image is <DEPTH_START><DEPTH_7><DEPTH_END>. The trajectory of the end "
                     'effector is [[63.75, 127.5]]. The action is [0.1, 0.2, 0.3, 0, 0, 0, 1].'.replace(
                         "63.75", "64").replace("127.5", "128")),
        ("paligemma", "<loc0512><loc0256> cup"),
        ("gemini-robotics-er", '```json\n[\n  {"point": [500, 250], "label": "0"}\n]\n```'),
        ("robobrain", "[[0.25, 0.5]]"),
        ("robobrain2", "{\n    'thinking': 'First I\\'d go (1, 2), then [3, 4].', \n    'answer': '[(160, 240)]'\n}"),
        ("robobrain2", '{"thinking": "", "answer": [[160, 240]]}'),
        ("robobrain2.5", "[(250, 500, 0.75)]"),
        ("embodied-r1", "<think>At (9, 9)?</think><answer><point>[[160, 240]]</point></answer>"),
    ],
)  # fmt: skip
def test_every_model_means_the_same_place(dialect, text):
    assert uv(text, dialect) == [pytest.approx([0.25, 0.5], abs=0.003)]


@pytest.mark.parametrize(
    "text",
    [
        f"[{POINT_2D}]",
        POINT_2D,
        f"[{POINT_2D},]",
        POINT_2D.replace('"', "'"),
        POINT_2D.replace('"', '\\"'),
        f"```\n{POINT_2D}\n```",
        f"```json\n{POINT_2D}\n```\nParsed points:  [[1, 2]]",
        f"{POINT_2D}\n```",
        f'Locate the cup. Answer as [{{"point_2d": [x, y], "label": "..."}}]\n\nAnswer:\n[{POINT_2D}]',
        f"Sure (it's the red one): {POINT_2D} Anything else?",
        f"<think>Perhaps [{{'point_2d': [1, 2]}}]?</think>\n{POINT_2D}",
        f"<think>hm</think><answer>{POINT_2D}</answer>",
        f'{{"answer": {{"objects": [{POINT_2D}], "count": 1, "sure": true, "why": null}}}}',
        json.dumps({"thinking": "[1, 2]", "answer": POINT_2D}),
        f"[{POINT_2D}]\n\n[{POINT_2D}]",
        f"```json\n[{POINT_2D}]\n```\nOnce more:\n```json\n[{POINT_2D}]\n```",
        f"```python\nprint('no')\n```\n```json\n[{POINT_2D}]\n```",
        f"[\n{{\n{POINT_2D}\n]",
        "(250, 500)",
        "I go from (1, 2) to (3, 4): [[250, 500]]".replace("[[250, 500]]", "[[250, 500], [250, 500]]"),
    ],
)
def test_what_is_around_an_answer_does_not_matter(text):
    assert uv(text, "qwen3-vl")[0] == [0.25, 0.5]
    assert all(point == [0.25, 0.5] for point in uv(text, "qwen3-vl"))


@pytest.mark.parametrize(
    ("dialect", "text", "what"),
    [
        ("qwen3-vl", "", "no points"),
        ("qwen3-vl", "There are none.", "no points"),
        ("qwen3-vl", "[]", "no points"),
        ("qwen3-vl", '[{"point_2d": [], "label": "x"}]', "at character 14"),
        ("qwen3-vl", '[{"point_2d": null, "label": "x"}]', "expected the numbers of 'point_2d' at character 14"),
        ("qwen3-vl", '[{"point_2d": "250, 500"}]', "expected the numbers"),
        ("qwen3-vl", '[{"point_2d": [250]}]', "2 or 3 numbers"),
        ("qwen3-vl", '[{"point_2d": [250, 500, 3]}]', "three numbers; this dialect has two"),
        ("qwen3-vl", '[{"point_2d": [1, 2, 3, 4]}]', "the numbers of a point under 'point_2d'"),
        ("qwen3-vl", '[{"bbox_2d": [1, 2]}]', "the numbers of a box under 'bbox_2d'"),
        ("qwen3-vl", '[{"point": [250, 500]}]', "'point' is no key of this dialect: it has point_2d"),
        ("qwen3-vl", "[{'bbox_3d': [-0.4, -0.2, 2.7, 0.7, 0.9, 0.7, 0, 0, 0]}]", "boxes in space"),
        ("qwen3-vl", '[{"point_2d": [0.25, 0.5]}]', "0.25 is not a whole number"),
        ("qwen3-vl", '[{"point_2d": [1002, 5]}]', "x = 1002 is not in [0, 1000] at character 15"),
        ("qwen3-vl", '[{"point_2d": [-2, 5]}]', "x = -2 is not"),
        ("qwen3-vl", '[{"point_2d": [NaN, 5]}]', "not a whole number"),
        ("qwen3-vl", '[{"point_2d": [1e999, 5]}]', "not a whole number"),
        ("qwen3-vl", '[{"bbox_2d": [300, 5, 200, 9]}]', "second corner"),
        ("qwen3-vl", '```json\n[{"point_2d": [250, 500]}]', "cut off: the code fence at character 0"),
        ("qwen3-vl", '[{"point_2d": [250, 500]}', "cut off: the bracket at character 0"),
        ("qwen3-vl", '[{"point_2d": [250, 500], "label": "cu', "cut off"),
        ("qwen3-vl", '[{"point_2d": [250, 500]}, ...]', "found '...]' at character 27"),
        ("qwen3-vl", "<think>[250, 500]", "thinking from character 0 on never ends"),
        ("qwen3-vl", "<answer>[250, 500]", "<answer> at character 0 is never closed"),
        ("qwen3-vl", '[{"point_2d": [1, 2]}] or [{"point_2d": [3, 4]}]', "unlike the one at character 14"),
        ("qwen3-vl", "[[1, 2], [3, 4]] [[1, 2], [3, 5]]", "which is meant?"),
        ("qwen3-vl", str([[1, 2]] * 101), "more than 100 points"),
        ("qwen3-vl", str([[1, 2]] * 5000), "more than"),
        ("qwen3-vl", "[" * 40, "nested deeper"),
        ("qwen3-vl", "x" * (1 << 21), "longer than"),
        ("qwen3-vl", "<ans>[(1, 2), <action>Close Gripper</action>]</ans>", "this dialect has none"),
        ("3d-hamster", '[{"point_3d": [250, 500, 0]}]', "depth = 0 is not a distance"),
        ("3d-hamster", '[{"point_3d": [250, 500, -1]}]', "depth = -1"),
        ("3d-hamster", '[{"point_3d": [250, 500, inf]}]', "depth = inf"),
        ("3d-hamster", '[{"point_3d": [5, 5, 1]}, {"point_2d": [6, 6]}]', "1 of 2 points have a depth"),
        ("3d-hamster", '[{"point_3d": [0.25, 0.5, 0.7]}]', "0.25 is a fraction of 1"),
        ("3d-hamster", '[{"point_2d": [250, 500], "gripper": "ajar"}]', "'open', 'close' or 'none'"),
        ("3d-hamster", "<ans>[<action>Open Gripper</action>, [1, 2]]</ans>", "before any point"),
        ("robopoint", "[(0.25, 0.5), (0.25, 1.01)]", "y = 1.01 is not in [0, 1] at character 21"),
        ("robopoint", "[(0.25, 0.5), 0.25]", "expected a point"),
        ("robopoint", "[(0.25, 0.5) (0.2, 0.5)]", "expected a value, a comma or a bracket"),
        ("robopoint", "[(0.25, 0.5], (0.2, 0.5)]", "expected a value"),
        ("robopoint", "[(x1, y1), (x2, y2), ...]", "no points"),
        ("robopoint", "[[[0.1, 0.2], [0.2, 0.2]], [[0.1, 0.3], [0.2, 0.2]]]", "all of one path"),
        ("robopoint", "[(0.1, __import__('os'))]", "expected a value, a comma"),
        ("robopoint", "[(0.25; 0.5), (0.2, 0.5)]", "found '; 0.5)"),
        ("robopoint", "[(left, 0.5), (0.2, 0.5)]", "something else in it"),
        ("molmo", '<points x1="25.0" y1="50.0" x2="30.0">cups</points>', "y is missing"),
        ("molmo", '<point x="25.0" y="50.0" x="26.0">cup</point>', "a second 'x'"),
        ("molmo", '<point x="a" y="50.0">cup</point>', "expected a number, found 'a'"),
        ("molmo", '<point x="1" y=2>cup</point>', "expected an attribute"),
        ("molmo", '<point x="154" y="50">cup</point>', "x = 154 is not in [0, 100]"),
        ("molmo", '<point x="25.0" y="50.0">cup', "cut off"),
        ("molmo", '<point x="25.0" y="5', "cut off"),
        ("molmo", '<points coords="1 1 250 500">cup</points>', "is the form of molmo2"),
        ("molmo2", '<point x="25.0" y="50.0">cup</point>', "is the form of molmo,"),
        ("molmo2", '<points coords="<POINT_276><POINT_727>">cup</points>', "expected a number"),
        ("molmo2", '<points coords="1 1 250">cup</points>', "three numbers a point"),
        ("molmo2", '<points coords="">cup</points>', "no points"),
        ("molmo2", '<points coords="1 1 073 160;2 2 373 460">cup</points>', "several images"),
        ("molmo2", '<tracks coords="0 1 073 160 2 5 5;1 1 373 460 2 6 6">cups</tracks>', "several things"),
        ("paligemma", "<loc0512><loc0256><loc0001>", "3 location tokens"),
        ("paligemma", "<loc0512><loc1024>", "x = <loc1024> is not in [0, 1023]"),
        ("paligemma", "<loc512><loc0256>", "four digits"),
        ("paligemma", "<loc0512><loc02", "cut off"),
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004> cup", "no path"),
        ("embodied-r1", "<think> hm </think><answer><point>[[x1, y1], [x2, y2], ...]</point></answer>", "no points"),
        ("embodied-r1", "[[160, 240]]", "no <point> tag"),
        ("robobrain2", "{'thinking': '', 'answer': 'Two cats sleeping on a couch.'}", "no points"),
        ("robobrain2", "[(640, 480), (642, 480)]", "x = 642 is not in [0, 640]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(dialect, text, what):
    with pytest.raises(PlanError) as caught:
        parse(text, dialect, SIZE)
    assert what in caught.value.reason and caught.value.raw_text == text
    assert "\n" not in caught.value.reason and len(caught.value.reason) < 200


def test_rounding_may_end_just_outside():
    assert uv("[(1.001, -0.001)]", "robopoint") == [[1, 0]]
    assert uv("[[256, 255]]", "molmoact") == [[1, 1]]
    assert uv("[(641, 480)]", "robobrain2") == [[1, 1]]


def test_labels_that_count_give_the_order_others_do_not():
    text = '[{"point": [1, 10], "label": "2"}, {"point": [2, 20], "label": "1"}, {"point": [3, 30], "label": "3"}]'
    assert uv(text, "gemini-robotics-er") == [[0.02, 0.002], [0.01, 0.001], [0.03, 0.003]]
    assert uv(text.replace('"3"', '"cup"'), "gemini-robotics-er") == [[0.01, 0.001], [0.02, 0.002], [0.03, 0.003]]
    assert uv(text.replace('"3"', '"5"'), "gemini-robotics-er")[0] == [0.01, 0.001]


def test_the_gripper_and_the_depth():
    close, open_ = '{"point_3d": [3, 4, 0.75], "gripper": "close"}', '{"point_3d": [5, 6, 1], "gripper": "OPEN"}'
    path = parse(f'[{{"point_3d": [1, 2, 0.5]}}, {close}, {open_}]', "3d-hamster")
    assert path.gripper.tolist() == [U, C, O] and path.depth_m.tolist() == [0.5, 0.75, 1]
    path = parse(
        '[{"point_2d": [1, 2], "label": "close gripper"}, {"point_2d": [3, 4], "label": "the cup"}]', "qwen3-vl"
    )
    assert path.gripper.tolist() == [C, C]


def test_boxes_are_read_in_the_dialects_own_order():
    corners = (0.1, 0.2, 0.3, 0.4)

    def box(text, dialect):
        answer = read(text, dialect, (1000, 1000))
        assert not answer.points and not answer.is_path
        return pytest.approx(answer.boxes[0].corners, abs=0.011)

    assert corners == box("[0.1, 0.2, 0.3, 0.4]", "robobrain")
    assert corners == box("[100, 200, 300, 400]", "robobrain2")
    assert corners == box('[{"bbox_2d": [100, 200, 300, 400], "label": "cup"}]', "qwen3-vl")
    assert corners == box('[{"box_2d": [200, 100, 400, 300], "label": "cup"}]', "gemini-robotics-er")
    assert corners == box("<loc0205><loc0102><loc0410><loc0307> cup", "paligemma")
    assert corners == box("[(0.2, 0.3, 0.2, 0.2)]", "robopoint")  # centre, width and height
    assert corners == box("[0.1, 0.2, 0.3, 0.4]", "robopoint")


def test_a_broken_brace_does_not_hide_the_boxes():
    text = '[\n\t{"bbox_2d": [1, 2, 3, 4], "names": {"en": "A"}},\n\t{\n\t{"bbox_2d": [5, 6, 7, 8], "names": {}}\n]'
    assert len(read(text, "qwen3-vl").boxes) == 2


def test_points_on_several_images_are_read_but_are_no_path():
    answer = read('<points coords="1 1 073 160 2 173 600\t2 3 373 460">cups</points>', "molmo2")
    assert [point.image for point in answer.points] == ["1", "1", "2"] and not answer.is_path
    assert answer.to_json()["points"][2] == {"uv": [0.373, 0.46], "label": "3", "image": "2"}


def test_a_track_over_time_is_a_path():
    assert uv('<tracks coords="0.0 1 730 615;0.5 1 720 600;1.0 1 710 590">cat</tracks>', "molmo2")[1] == [0.72, 0.6]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[[205,69],[150,75]]", ("molmoact", "qwen3-vl", "robobrain2", "gemini-robotics-er")),
        ('<points x1="10" y1="20" alt="cup">cup</points>', ("molmo", "qwen2.5-vl", "qwen3-vl")),
        (POINT_2D.replace("500", "400"), ("qwen2.5-vl", "qwen3-vl", "3d-hamster")),
        ("<point>[[16, 24]]</point>", ("embodied-r1", "molmoact")),
        ("<ans>[(1, 0)]</ans>", ("hamster", "hamster-1000")),
        ("[(1, 0)]", ("robopoint", "robobrain2")),
    ],
)
@pytest.mark.parametrize("size", [None, SIZE])
def test_what_could_be_several_dialects_is_refused(text, names, size):
    with pytest.raises(PlanError) as caught:
        parse(text, AUTO, size)
    assert all(name in caught.value.reason for name in names) and "--from" in caught.value.reason


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("<ans>[(0.25, 0.5), <action>Open Gripper</action>]</ans>", "hamster"),
        ("<ans>[(250, 500), <action>Open Gripper</action>]</ans>", "hamster-1000"),
        ("<ans><p:5:2><s:1:7></ans>", "nano-tokens"),
        ("[(0.25, 0.5), (0.3, 0.3)]", "robopoint"),
        ("[[0.25, 0.5], [0.3, 0.3]]", "robobrain"),
        ('<point x="25.5" y="50.0" alt="cup">cup</point>', "molmo"),
        ('<points coords="1 1 250 500">cup</points>', "molmo2"),
        ("<loc0001><loc0002>", "paligemma"),
        ('[{"point": [500, 250], "label": "0"}]', "gemini-robotics-er"),
        ('[{"point_3d": [250, 500, 0.7], "gripper": "close"}]', "3d-hamster"),
        ("[(250, 500, 0.7)]", "robobrain2.5"),
    ],
)
def test_what_can_only_be_one_is_read(text, dialect):
    assert read(text, AUTO).meaning == read(text, dialect).meaning


def test_auto_passes_on_the_complaint_of_who_got_farthest():
    with pytest.raises(PlanError, match=r"robopoint says: y = -0.5 is not in \[0, 1\] at character 7"):
        parse("[(0.4, -0.5)]", AUTO)
    with pytest.raises(PlanError, match="no dialect reads this text"):
        parse("<ans>[(2, 0.2), (0, 0)]</ans>", AUTO)
    with pytest.raises(PlanError, match="no dialect reads this text; no points"):
        parse("I cannot help with that (really).", AUTO)


def test_points_without_words():
    assert parse_points([[0.1, 0.2], [0.3, 0.4]]).uv.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert parse_points([[500, 250]], "gemini-robotics-er").uv.tolist() == [[0.25, 0.5]]
    for wrong in ([], {}, 3, None, [[1]], [["a", "b"]], [[0.1, float("nan")]], [[2.0, 0.5]]):
        with pytest.raises(PlanError):
            parse_points(wrong)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((640, 480), (644, 476)),
        ((1280, 720), (1288, 728)),
        ((28, 28), (56, 56)),
        ((10, 10), (56, 56)),
        ((8000, 6000), (4116, 3080)),
        ((644, 476), (644, 476)),
    ],
)
def test_smart_resize_is_qwens(size, resized):
    assert smart_resize(size) == resized


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (1 << 30, 5), (5000, 10)])
def test_no_image_is_that_large_or_narrow(size):
    with pytest.raises(ValueError, match="image"):
        smart_resize(size)


def dialect_of(record):
    """How the file's labels name our dialects."""
    system, convention = record["system"].lower(), record["convention"]
    if "0..1000 integers" in convention:
        return "hamster-1000"
    for name in sorted(DIALECTS, key=len, reverse=True):
        if system.replace(" ", "-").replace(".0", "").replace("molmopoint", "molmo2").startswith(name):
            return name
    return "molmo"


def test_what_real_models_printed_is_read_as_labelled():
    lines = (real_data("e-vlm-outputs") / "outputs.jsonl").read_text(encoding="utf-8").splitlines()
    readable = 0
    for record in map(json.loads, lines):
        convention, dialect = record["convention"], dialect_of(record)
        nothing = convention in ("prose", "other") or "not parseable" in convention or record["kind"] == "format_doc"
        try:
            answer = read(record["text"], dialect, SIZE)
        except PlanError:
            assert nothing, record
            continue
        readable += 1
        assert (
            not nothing
            and bool(answer.boxes) == ("xyxy" in convention)
            and bool(answer.points) == ("xyxy" not in convention)
        )
    print(f"\n{readable} of {len(lines)} have points or boxes, the others are refused, all as labelled")  # noqa: T201
    assert readable > len(lines) / 2
