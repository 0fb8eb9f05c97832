"""What of a text is the answer, for every dialect alike: thinking never is."""

import contextlib
import time

import pytest

from hamster.dialects import AUTO, DIALECTS, parse, read, refusal, render
from hamster.path import Gripper, NotInViewError, Path2D, PlanError
from tests.data.real import real_data

U = Gripper.UNKNOWN
SIZE = (640, 480)
DRAFT, GOOD = Path2D([[0.125, 0.75], [0.5, 0.875]], [U, U]), Path2D([[0.25, 0.5], [0.75, 0.25]], [U, U])

dialects = pytest.mark.parametrize("dialect", list(DIALECTS))

MARKS = [
    ("<think>", "</think>"),
    ("<Think>\n", "\n</Think>"),
    ("<thinking>", "</thinking>"),
    ('<think effort="high">', "</think>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<thinking_process>", "</thinking_process>"),
    ("<internal_monologue>", "</internal_monologue>"),
    ("<deliberation>", "</deliberation>"),
    ("<draft>", "</draft>"),
    ("<REASONING>", "</REASONING>"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final <|constrain|>json<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("analysisWe need ", "assistantfinal"),
    ("Thinking...\n", "\n...done thinking.\n\n"),
    ("```thinking\n", "\n```\n"),
    ("Let me see.\n```thought\n", "\n```\n"),
    ("```Reasoning process\n", "\n```"),
    ("``` think\n", "\n```\n"),
    ("````scratchpad\n```json\n", "\n```\n````\n"),
    ("~~~thinking\n", "\n~~~\n"),
]  # fmt: skip
marks = pytest.mark.parametrize(("opening", "closing"), MARKS)


def same(text, dialect, path=GOOD):
    return parse(text, dialect, SIZE) == parse(render(path, dialect, SIZE), dialect, SIZE)


def refused(text, dialect):
    with pytest.raises(PlanError) as caught:
        parse(text, dialect, SIZE)
    assert caught.value.raw_text == text
    return caught.value.reason


@dialects
@marks
def test_a_draft_in_the_thinking_is_never_the_answer_and_never_spoils_it(dialect, opening, closing):
    draft, good = render(DRAFT, dialect, SIZE), render(GOOD, dialect, SIZE)
    whole = f"{opening}Perhaps {draft} ? No. {closing}"
    assert same(f"{whole} {good} ", dialect)
    assert refused(f"{whole} I cannot find the mug, sorry.", dialect)
    assert refused(whole, dialect)
    cut = f"{opening}Perhaps {draft} ? No: a lid is in the way, so the arm has to"
    assert "cut off: the thinking from character" in refused(cut, dialect)
    assert "cut off" in refused(cut, AUTO)


@dialects
def test_thinking_whose_opening_stood_in_the_prompt_comes_before_its_end(dialect):
    draft, good = render(DRAFT, dialect, SIZE), render(GOOD, dialect, SIZE)
    assert same(f"Perhaps {draft} ?</think>\n{good} ", dialect)
    assert "nothing but thinking" in refused(f"Perhaps {draft} ?</think>\n", dialect)


@dialects
def test_a_code_fence_of_thinking_beside_one_of_the_answer(dialect):
    draft, good = render(DRAFT, dialect, SIZE), render(GOOD, dialect, SIZE)
    assert same(f"```thinking\n{draft}\n```\n```json\n{good}\n```", dialect)
    assert same(f"```thinking\n```json\n{draft}\n```\nno.\n```\n```\n{good}\n```", dialect)
    assert same(f"```thinking\n{draft}\n```\n```thinking\n{draft}\n```\n{good} ", dialect)
    assert same(f"<think>{draft}</think>```thinking\n{draft}\n```\n{good} ", dialect)
    assert same(f"```\n{good}\n```\nThinking of the lid I chose the left.", dialect)
    assert "cut off: the thinking" in refused(f"```thinking\n{draft}\n```json\n{good}\n```", dialect)


@dialects
def test_several_blocks_of_thinking(dialect):
    draft, good = render(DRAFT, dialect, SIZE), render(GOOD, dialect, SIZE)
    assert same(f"<think>{draft} </think> Let me look again. <think>{draft} </think> {good} ", dialect)
    assert same(f"<think>I am to write <think> first. {draft} </think> {good} ", dialect)
    assert same(f"<think>After </think> I answer {draft} </think> {good} ", dialect)
    assert same(f"<think></think> {good} <think>Was that right? {draft} </think>", dialect)
    assert same(f"<think>{draft} </think> {good} <|im_end|>", dialect)
    assert "cut off" in refused(f"<think>a</think> {good} <think>Wait: {draft} ", dialect)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if not name.startswith("embodied")])  # have it anyway
def test_an_answer_tag_decides(dialect):
    draft, good = render(DRAFT, dialect, SIZE), render(GOOD, dialect, SIZE)
    assert same(f"At first {draft} . <answer> {good} </answer>", dialect)
    assert same(f"<answer> {good} </answer> (7 of 10 sure, see 3.5.) ", dialect)
    assert same(f"<answer><answer> {good} </answer></answer>", dialect)
    assert same(f"<FINAL_ANSWER> {good} </FINAL_ANSWER>", dialect)
    assert same(f"<|begin_of_box|> {good} <|end_of_box|>", dialect)
    assert refused(f"Perhaps {draft} . <answer>I cannot see it.</answer>", dialect)
    assert refused(f"<answer></answer> {draft} ", dialect)
    assert "cut off: <answer> at character 17" in refused(f"<think>hm</think><answer>{good}", dialect)
    assert refused(f"<answer> {draft} </answer><answer> {good} </answer>", dialect)


def test_points_of_two_answers_are_never_one_path():
    assert "which is meant" in refused("<answer>(1, 2)</answer>, <answer>(3, 4)</answer>", "robobrain2")


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if not name.startswith("molmo")])  # quotes in tags
@pytest.mark.parametrize("key", ["thinking", "reasoning", "thought", "reasoning_content"])
def test_the_thinking_of_a_dictionary(dialect, key):
    draft, good = (render(path, dialect, SIZE).replace("\n", " ") for path in (DRAFT, GOOD))
    if '"' in draft:
        draft, good = draft.replace('"', '\\"'), good.replace('"', '\\"')
    whole = f'{{"{key}": "Perhaps {draft} ?", "answer": "{{}}"}}'
    assert same(whole.replace("{}", f" {good} "), dialect)
    assert refused(whole.replace("{}", "I cannot find it."), dialect)
    assert "cut off: the thinking" in refused(f'{{"{key}": "Perhaps {draft} and th', dialect)


@pytest.mark.parametrize("key", ["reasoning", "thinking", "explanation"])
def test_thinking_beside_the_points_leaves_them_whole(key):
    points = '"points": [{"point": [500, 250], "label": "0"}, {"point": [250, 750], "label": "1"}]'
    draft = r"first [1, 2], then {\"point\": [3, 4]}"
    for text in (
        f'{{"{key}": "{draft}", {points}}}',
        f'{{{points}, "{key}": "{draft}"}}',
        f'[{{"point": [500, 250], "label": "0", "{key}": "{draft}"}}, {{"point": [250, 750], "label": "1"}}]',
    ):
        assert same(text, "gemini-robotics-er")


@dialects
def test_a_refusal_after_a_draft_is_a_refusal(dialect):
    draft = render(DRAFT, dialect, SIZE)
    with pytest.raises(NotInViewError):
        parse(f"<think>Perhaps {draft} ? No.</think>\n{refusal(dialect)}<|im_end|>", dialect, SIZE)
    with pytest.raises(NotInViewError):
        parse(f"<think>Perhaps {draft} ? No.</think><answer>Not in view.</answer>", AUTO, SIZE)


def test_the_drafts_that_people_reported():
    folder = real_data("f-user-cases") / "dialects"
    for dialect in (*DIALECTS, AUTO):
        for name in ("think_cut_draft.txt", "think_draft_then_prose.txt", "boxtok.txt"):
            refused((folder / name).read_text(encoding="utf-8"), dialect)


BOX = "<|object_ref_start|>the mug<|object_ref_end|><|box_start|>(221,423),(569,886)<|box_end|><|im_end|>"


@pytest.mark.parametrize(
    "text",
    [
        BOX,
        "<ref>the mug</ref><box>(221,423),(569,886)</box>",
        "<ref>the mug</ref><box>[[221, 423, 569, 886]]</box>",
        "<bbox>[221, 423, 569, 886]</bbox>",
        '[{"bbox_2d": [221, 423, 569, 886], "label": "the mug"}]',
        '[{"bbox": [221, 423, 569, 886], "label": "the mug"}]',
        '{"bounding_box": {"ymin": 423, "xmin": 221, "ymax": 886, "xmax": 569}}',
        "[221, 423, 569, 886]",
        f"<think>{BOX.replace('2', '3')}</think>{BOX}",
    ],
)
def test_a_box_is_a_box_and_no_path_of_two_points(text):
    answer = read(text, "qwen3-vl", SIZE)
    assert not answer.points and answer.boxes[0].corners == (0.221, 0.423, 0.569, 0.886)
    assert "1 box(es) and no point" in refused(text, "qwen3-vl")
    for dialect in (*DIALECTS, AUTO):
        assert refused(text, dialect)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("the mug(221,423),(569,886)", "corners of a box"),  # the tokenizer left out its special tokens
        ("<|box_start|>(221,423),(569,", "cut off"),
        ("<|box_start|>(221,423)<|box_end|>", "two corners"),
        ("<|quad_start|>(1,2),(3,4),(5,6),(7,8)<|quad_end|>", "polygon"),
        ("<box></box>", "two corners"),
        ('{"bbox_2d": [[221, 423], [569, 886]]}', "numbers of a box"),
        ('{"bbox_2d": {"xmin": 1, "ymin": 2}}', "xmin"),
        ('{"top_left": [221, 423], "bottom_right": [569, 886]}', "no key 'top_left'"),
        ("[{'box_3d': [1, 2, 3, 4, 5, 6, 7, 8, 9]}]", "boxes in space"),
        ("（２５０，５００）", "no points"),
        ("[(250, 500), (３００, 400)]", "expected a value"),
    ],
)
def test_what_is_no_box_and_no_path(text, what):
    assert what in refused(text, "qwen3-vl")


def test_boxes_beside_a_path_and_several_boxes():
    assert read(f"{BOX} [(1, 2), (3, 4)]", "qwen3-vl").points[1].uv == (0.003, 0.004)
    assert len(read("<box>(1,2),(3,4)</box> and <box>(5,6),(7,8)</box>", "qwen3-vl").boxes) == 2
    assert parse("[(221,423),(569,886)]", "qwen3-vl").uv[0].tolist() == [0.221, 0.423]  # a list is a path


def test_geminis_boxes_are_y_first_and_decide_auto():
    text = '```json\n[{"box_2d": [200, 100, 400, 300], "label": "cup", "mask": "data:image/png;base64,A"}]\n```'
    for dialect in ("gemini-robotics-er", AUTO):
        assert read(text, dialect).boxes[0].corners == (0.1, 0.2, 0.3, 0.4)
    generic = text.replace("box_2d", "box")
    assert read(generic, "gemini-robotics-er").boxes[0].corners == (0.1, 0.2, 0.3, 0.4)
    assert "name the dialect" in refused(generic, AUTO)
    assert "'box_2d' is no key" in refused(text, "qwen3-vl")


def test_embodied_r1_says_who_it_is():
    text = "<think>At [[9, 9], [8, 8]]?</think><answer><point>[[160, 240], [480, 120]]</point></answer>"
    assert parse(text, AUTO, SIZE) == parse(text, "embodied-r1", SIZE) == GOOD
    with pytest.raises(ValueError, match="--image-size"):
        parse(text, AUTO)
    assert "is not in [0, 640]" in refused(text.replace("160", "1600"), AUTO)
    assert "name the dialect" in refused("<point>[[160, 240], [480, 120]]</point>", AUTO)


def test_embodied_r1_5_has_thousandths_and_a_depth_of_its_own():
    items = '[{"point_2d": [250, 500], "depth": 1.08}, {"point_2d": [750, 250], "depth": 1.06}]'
    text = f"<think>hm [1, 2]</think>\n<answer>```json\n{items}\n```</answer>"
    for dialect in ("embodied-r1.5", AUTO):
        path = parse(text, dialect, SIZE)
        assert path.uv.tolist() == GOOD.uv.tolist() and path.depth_m.tolist() == [1.08, 1.06]
    flat = text.replace(', "depth": 1.08', "").replace(', "depth": 1.06', "")
    assert parse(flat, "embodied-r1.5") == GOOD
    assert "name the dialect" in refused(
        flat.replace("500", "400").replace("750", "600"), AUTO
    )  # pixels or thousandths
    assert "1 of 2 points have a depth" in refused(text.replace(', "depth": 1.06', ""), "embodied-r1.5")
    assert "depth = -1" in refused(text.replace("1.06", "-1"), "embodied-r1.5")
    assert "one number under 'depth'" in refused(text.replace("1.06", '"far"'), "embodied-r1.5")
    box = read('<answer>{"boxes": [35, 227, 437, 932]}</answer>', "embodied-r1.5").boxes[0]
    assert box.corners == (0.035, 0.227, 0.437, 0.932)


UNITS = [
    "<think>", "</think>", "<think></think>", "<think", "< ", "<|channel|>analysis", "<|channel|>final", "<|end|>",
    "<answer>", "</answer>", '"thinking": "', '"thinking": "a",', '"thinking":', "\\\"answer\\\": \\\"", "<|im_end|>",
    "</s>\n", "<box>", "<box>(1,2),(3,4)</box>", "<|box_start|>", "\f", "a_", "<a:", "<think ", "...done thinking.",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_the_envelope_takes_linear_time(unit):
    text = (unit * ((1 << 16) // len(unit) + 1))[: 1 << 16]
    began = time.process_time()
    for dialect in ("hamster", "qwen3-vl"):
        for variant in (text, f"[(1, 2)] {text}", f"{text} <ans>[(0.1, 0.2)]</ans>"):
            with contextlib.suppress(PlanError):
                read(variant, dialect)
    assert time.process_time() - began < 3  # a tenth of that; what is not linear takes minutes
