from __future__ import annotations

import json

import pytest

from hamster.cli import main
from hamster.cli.convert import convert_text, parse_size
from hamster.dialects import DIALECTS, parse, render
from hamster.path import Gripper, Path2D

SIZE = "640x480"
PATH = Path2D([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN])


@pytest.mark.parametrize("target", list(DIALECTS))
@pytest.mark.parametrize("source", list(DIALECTS))
def test_every_dialect_becomes_every_other(source, target):
    text = convert_text(render(PATH, source, (640, 480)), source, target, SIZE)
    again = parse(text, target, (640, 480))
    assert len(again) == 3 and abs(again.uv - PATH.uv).max() < 0.02
    assert again.gripper[2] in (Gripper.OPEN, Gripper.UNKNOWN)


def run(capsys, tmp_path, text, *argv):
    (tmp_path / "answer.txt").write_text(text, encoding="utf-8")
    code = main(["convert", *argv, str(tmp_path / "answer.txt")])
    out, err = capsys.readouterr()
    return code, out, err


def test_what_can_only_be_one_dialect_needs_no_name(capsys, tmp_path):
    code, out, err = run(capsys, tmp_path, "<loc0512><loc0256> close gripper ; <loc0000><loc1023>")
    assert code == 0 and err == ""
    assert json.loads(out)["uv"] == [[0.25, 0.5], [1023 / 1024, 0.0]] and json.loads(out)["gripper"][0] == "closed"


def test_what_can_be_several_is_refused_and_they_are_named(capsys, tmp_path):
    code, out, err = run(capsys, tmp_path, "[[205,69],[150,75],[146,60]]")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert all(name in err for name in ("molmoact", "qwen3-vl", "robobrain2", "gemini-robotics-er", "--from"))


def test_pixels_want_the_size_of_the_image(capsys, tmp_path):
    text = '[{"point_2d": [322, 238], "label": "cup"}]'
    assert run(capsys, tmp_path, text, "--from", "qwen2.5-vl")[0] == 2
    code, out, _ = run(capsys, tmp_path, text, "--from", "qwen2.5-vl", "--image-size", SIZE)
    assert code == 0 and json.loads(out)["uv"] == [[0.5, 0.5]]  # 640 x 480 is scaled to 644 x 476


def test_what_gets_lost_is_said_on_standard_error(capsys, tmp_path):
    text = '[{"point_3d": [500, 250, 0.75], "gripper": "close"}]'
    code, out, err = run(capsys, tmp_path, text, "--from", "3d-hamster", "--to", "molmo2")
    assert code == 0 and out == '<points coords="1 1 500 250">path</points>\n'
    assert err == "hamster: molmo2 has no words for 1 gripper event(s) and the depth\n"
    code, out, err = run(capsys, tmp_path, text, "--from", "3d-hamster")
    assert err == "" and json.loads(out)["depth_m"] == [0.75]


def test_boxes_are_printed_as_boxes_and_are_no_path(capsys, tmp_path):
    text = '```json\n[{"bbox_2d": [0, 52, 477, 999], "label": "cup"}]\n```'
    code, out, _ = run(capsys, tmp_path, text, "--from", "qwen3-vl")
    assert code == 0 and json.loads(out) == {
        "points": [],
        "boxes": [{"uvuv": [0.0, 0.052, 0.477, 0.999], "label": "cup"}],
    }
    code, out, err = run(capsys, tmp_path, text, "--from", "qwen3-vl", "--to", "hamster")
    assert code == 2 and out == "" and "no path" in err


def test_a_path_record_is_a_source_too(capsys, tmp_path):
    code, out, _ = run(capsys, tmp_path, json.dumps(PATH.to_json()), "--from", "json", "--to", "hamster-1000")
    assert code == 0 and out.startswith("<ans>[(100, 200), (300, 400), <action>Close Gripper</action>")


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("There are none.", ()),
        ("[(0.1, 0.2), (0.3", ("--from", "robopoint")),
        ("[(0.1, 0.2), (0.3, 1.5)]", ("--from", "robopoint")),
        ("[]", ("--from", "json")),
        ("{" * 100_000, ("--from", "json")),
        ("[(1, 2)]", ("--from", "robobrain2", "--image-size", "640")),
        ("[(1, 2)]", ("--from", "robobrain2", "--image-size", "0x480")),
        ("[(1, 2)]", ("--from", "qwen2.5-vl", "--image-size", "5000x10")),
        ("[(1, 2)]", ("--from", "robopoint", "--to", "auto")),
        ("[(1, 2)]", ("--from", "robopiont")),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(text, argv, capsys, tmp_path):
    code, out, err = run(capsys, tmp_path, text, *argv)
    assert code == 2 and out == "" and err.startswith("hamster: ") and err.count("\n") == 1


def test_sizes():
    assert parse_size("640x480") == parse_size(" 640X480 ") == (640, 480)
    for bad in ("", "640", "640x", "x480", "-1x5", "1e3x5", "٣x٣"):
        with pytest.raises(ValueError, match="640x480"):
            parse_size(bad)
