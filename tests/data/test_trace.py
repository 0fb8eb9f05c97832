from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from hamster.data import AnnotatedImage, Unreadable
from hamster.data.trace import Trace
from hamster.dialects import DIALECTS, render
from hamster.path import Gripper, Path2D

C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
PATH = Path2D([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [U, C, O])
HAMSTER = "<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21)]</ans>"


@pytest.fixture
def folder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(noise).save(tmp_path / "images" / "a.png")
    return tmp_path


def record(**fields):
    return {"image": "images/a.png", "instruction": "close the drawer", **fields}


def trace(folder, *records, **options):
    (folder / "traces.jsonl").write_text("\n".join(json.dumps(each) for each in records))
    return Trace(folder / "traces.jsonl", **options)


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_every_dialect_is_read_and_says_where_it_comes_from(folder, dialect):
    source = trace(folder, record(text=render(PATH, dialect, (640, 480)), dialect=dialect.upper()))
    item = source[0]
    assert isinstance(item, AnnotatedImage) and item.view.rgb.shape == (480, 640, 3)
    (annotation,) = item.annotations
    assert annotation.instruction == "close the drawer"
    assert np.abs(annotation.path.uv - PATH.uv).max() < 0.01
    assert item.provenance.extra["dialect"] == dialect and item.provenance.file == "traces.jsonl#0"
    assert len(item.provenance.sha256) == 64


def test_an_array_is_as_good_as_lines_and_items_are_read_alone(folder):
    lines = trace(folder, record(text=HAMSTER), record(text=HAMSTER, instruction="open it"))
    (folder / "traces.json").write_text(json.dumps([record(text=HAMSTER), record(text=HAMSTER, instruction="open it")]))
    array = pickle.loads(pickle.dumps(Trace(folder / "traces.json")))
    assert len(lines) == len(array) == 2 and array.uri == f"trace:{folder / 'traces.json'}"
    assert lines[1].annotations[0].instruction == array[1].annotations[0].instruction == "open it"
    assert lines[-1].annotations[0].path == array[0].annotations[0].path


def test_points_and_path_records(folder):
    points = [[100, 50], [400, 300]]
    source = trace(
        folder,
        record(points=points, gripper=["close", None], dialect="gemini-robotics-er"),
        record(points=[[0.1, 0.2]]),
        record(points=points, convention="qwen3_vl"),
        record(points=points, dialect="robobrain2", image_size=[800, 600]),
        record(path=PATH.to_json()),
    )
    paths = [item.annotations[0].path for item in source]
    assert paths[0].uv.tolist() == [[0.05, 0.1], [0.3, 0.4]] and paths[0].gripper.tolist() == [C, C]
    assert paths[1].uv.tolist() == [[0.1, 0.2]] and paths[1].gripper.tolist() == [U]
    assert paths[2].uv.tolist() == [[0.1, 0.05], [0.4, 0.3]]
    assert paths[3].uv.tolist() == [[0.125, 50 / 600], [0.5, 0.5]]
    assert paths[4] == PATH


def test_pixels_are_those_of_the_upright_file_before_it_is_scaled_down(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5000, 2500)).save(folder / "turned.png", exif=exif)
    item = trace(folder, record(image="turned.png", text="[(1250, 2500)]", dialect="robobrain2"))[0]
    assert item.annotations[0].path.uv.tolist() == [[0.5, 0.5]] and item.view.rgb.shape == (2048, 1024, 3)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "[[205,69],[150,75]]"}, "this could be"),
        ({"text": "[[0.1, 0.2]"}, "cut off"),
        ({"text": HAMSTER, "dialect": "klingon"}, "unknown dialect 'klingon'; there are auto, hamster"),
        ({"text": ""}, "no path"),
        ({"points": []}, "no points"),
        ({"points": [[0.1, float("nan")]]}, "y = NaN is not in"),
        ({"points": {"x": [1, 2]}}, "knows no key 'x'"),
        ({"points": [[0.1, 0.2]], "gripper": ["close", None]}, "one state for each of the 1 points"),
        ({"points": [[0.1, 0.2]], "gripper": [["close"]]}, "open, close"),
        ({"path": {"uv": [[2, 0]], "gripper": ["open"]}}, "[0, 1]"),
        ({"text": HAMSTER, "image": "images/absent.png"}, "no image"),
        ({"text": HAMSTER, "image": "../../etc/passwd"}, "outside"),
        ({"text": HAMSTER, "image": ["images/a.png"]}, "no image"),
        ({"text": HAMSTER, "image": "traces.jsonl"}, "not a PNG, JPEG or WebP"),
        ({"text": "[(1, 2)]", "dialect": "robobrain2", "image_size": [0, 5]}, "1 to"),
    ],
)
def test_a_record_that_cannot_be_read_says_why_and_the_others_are_read(folder, fields, reason):
    source = trace(folder, record(**fields), record(text=HAMSTER))
    assert isinstance(source[0], Unreadable) and reason in source[0].reason and source[0].file == "traces.jsonl#0"
    assert isinstance(source[1], AnnotatedImage)


@pytest.mark.parametrize("line", ["{", "[1]", "7", '"text"', "{}", "[" * 100_000])
def test_lines_that_are_no_records(folder, line):
    (folder / "traces.jsonl").write_text(json.dumps(record(text=HAMSTER)) + "\n" + line)
    source = Trace(folder / "traces.jsonl")
    assert isinstance(source[0], AnnotatedImage) and isinstance(source[1], Unreadable)


def test_nothing_at_all_is_an_error(folder):
    with pytest.raises(ValueError, match="no file"):
        Trace(folder / "absent.json")
    (folder / "empty.json").write_text("")
    with pytest.raises(ValueError, match="holds no paths"):
        Trace(folder / "empty.json")
    with pytest.raises(ValueError, match="unknown dialect"):
        trace(folder, record(text=HAMSTER), dialect="klingon")
