from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hamster.cli import main
from hamster.cli.plan import SAMPLE

GOOD = "<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21), <action>Open Gripper</action>]</ans>"
COMMANDS = ("demo", "plan", "convert", "eval", "train", "label")


def run(*argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hamster", *argv]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def refused(capsys, *argv: str) -> str:
    """Runs a command that must fail and returns its one line."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("hamster: ") and err.count("\n") == 1 and len(err) < 520
    return err


def test_help_names_every_command_and_costs_less_than_half_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and all(name in done.stdout for name in COMMANDS)
    # Processor time, not the clock's: a busy machine must not fail the test.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_nothing_heavy_is_imported_before_a_command_runs():
    heavy = "('torch', 'mujoco', 'transformers', 'numpy', 'av', 'rich.progress', 'ssl', 'urllib.request')"
    code = f"import sys, hamster.cli.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0 and f"usage: hamster {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("eval", "planner"), ("eval-planner",)])
def test_a_planner_alone_is_measured_by_either_name(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--help"])
    said = capsys.readouterr().out
    assert exit_.value.code == 0 and "usage: hamster eval-planner" in said and "--calibrate" in said
    assert "no-such:3" in refused(capsys, *words, "--data", "offdomain:1", "--data", "no-such:3")


def test_a_wrong_command_is_a_users_error(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["dmeo"])
    assert exit_.value.code == 2 and "demo" in capsys.readouterr().err


def test_convert_reads_standard_input_and_prints_a_path_record():
    done = run("convert", "--from", "hamster", "-", stdin=GOOD)
    assert done.returncode == 0 and done.stderr == ""
    record = json.loads(done.stdout)
    assert record["uv"] == [[0.25, 0.32], [0.74, 0.21]] and record["gripper"] == ["closed", "open"]


def test_convert_to_the_same_dialect_is_the_same_path(tmp_path, capsys):
    (tmp_path / "answer.txt").write_text(GOOD)
    assert main(["convert", "--to", "hamster", str(tmp_path / "answer.txt")]) == 0
    again = capsys.readouterr().out
    (tmp_path / "again.txt").write_text(again)
    assert main(["convert", str(tmp_path / "again.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["uv"] == [[0.25, 0.32], [0.74, 0.21]]


def test_a_cut_off_text_is_one_line_and_exit_code_2():
    done = run("convert", "-", stdin=GOOD[:-20])
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text", ["", "<ans></ans>", "<ans>[(nan, 0.2)]</ans>", "<ans>[(2, 0.2), (0, 0)]</ans>", "__import__('os')"]
)
def test_what_is_no_path_is_refused(text, tmp_path, capsys):
    (tmp_path / "answer.txt").write_text(text)
    refused(capsys, "convert", str(tmp_path / "answer.txt"))


def test_convert_refuses_what_is_no_text(tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refused(capsys, "convert", str(tmp_path / "a.bin"))
    (tmp_path / "long").write_bytes(b" " * (1 << 20) + b" ")
    assert "longer than" in refused(capsys, "convert", str(tmp_path / "long"))
    assert "No such file" in refused(capsys, "convert", str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("convert", "--from", "hamstre", "answer.txt"), ("unknown dialect 'hamstre'", "Did you mean 'hamster'?")),
        (("label", "tabeltop:3", "-o", "x"), ("unknown source 'tabeltop'", "Did you mean 'tabletop'?")),
        (("label", "tabletop", "-o", "x"), ("tabletop:N",)),
        (("label", "-o", "x"), ("name a source",)),
        (("label", "offdomain:many", "-o", "x"), ("whole number", "'many'")),
        (("label", "offdomain:0", "-o", "x"), ("N >= 1",)),
        (("label", "rlbench:nowhere", "-o", "x"), ("no folder 'nowhere'",)),
        (("train", "planner", "--data", "nowhere"), ("no label set in nowhere", "hamster label offdomain:")),
        (("eval", "--suite", "moon"), ("unknown suite 'moon'", "tabletop")),
        (("eval", "--episodes", "0"), ("episodes must be >= 1",)),
        (("eval", "--families", "pick_place,fly"), ("unknown family 'fly'", "knock")),
        (("eval", "--planner", " , "), ("planners must be at least one",)),
    ],
)
def test_a_users_error_is_one_line_that_names_the_way_out(argv, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.txt").write_text(GOOD)
    line = refused(capsys, *argv)
    assert all(word in line for word in words), line


def big_png(file):
    """400 million pixels in 50 kB, written without ever holding them."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pack = zlib.compressobj(9)
    row = b"\0" + bytes(20_000 // 8)
    rows = b"".join(pack.compress(row) for _ in range(20_000)) + pack.flush()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def truncated_jpeg(file):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (big_png, "million"),
        (truncated_jpeg, "cut off or damaged"),
        (lambda file: file.write_text("just words"), "not a PNG, JPEG or WebP"),
        (lambda file: file.write_bytes(b""), "not a PNG, JPEG or WebP"),
        (lambda file: file.mkdir(), "not a file"),
        (lambda file: None, "No such file"),
    ],
)
def test_plan_refuses_what_it_cannot_look_at(make, words, tmp_path, capsys):
    make(tmp_path / "image")
    assert words in refused(capsys, "plan", str(tmp_path / "image"), "pick up the cup", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("instruction", "words"), [("", "empty"), (" \n", "empty"), ("cup " * 2500, "2000 are")])
def test_plan_refuses_an_instruction_that_says_nothing_or_too_much(instruction, words, tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    assert words in refused(capsys, "plan", str(tmp_path / "image.png"), instruction)


def test_a_bug_of_ours_keeps_its_traceback(monkeypatch, tmp_path):
    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("hamster.cli.convert.convert_text", broken)
    (tmp_path / "answer.txt").write_text(GOOD)
    with pytest.raises(ZeroDivisionError):
        main(["convert", str(tmp_path / "answer.txt")])


SENTENCE = "put the red cube on the blue plate"
CUBE, PLATE = (42.6 / 480, 358.1 / 480), (357.8 / 480, 358.4 / 480)  # where the simulator has them


def test_plan_answers_the_sample_image_and_names_it_where_there_is_no_other(tmp_path, capsys):
    assert main(["plan", str(SAMPLE), SENTENCE, "--out", str(tmp_path)]) == 0
    path = json.loads((tmp_path / "path.json").read_text())
    closed = path["uv"][path["gripper"].index("closed")]
    assert np.hypot(*np.subtract(closed, CUBE)) < 0.06 and np.hypot(*np.subtract(path["uv"][-1], PLATE)) < 0.06
    capsys.readouterr()
    assert str(SAMPLE) in refused(capsys, "plan", str(tmp_path / "table.png"), SENTENCE)
