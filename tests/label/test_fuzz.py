"""Damaged files of every kind: a label, an abstention or a reason, and nothing else, soon.

`HAMSTER_FUZZ=N` tries N damages per kind of file, and per dialect of texts, instead of a few (`make fuzz`).
"""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hamster.data import AnnotatedImage, Conversation, Unreadable
from hamster.data.hdf5 import HDF5
from hamster.data.lerobot import LeRobot
from hamster.data.points import Points
from hamster.data.rlbench import RLBench
from hamster.data.rlds import RLDS
from hamster.data.sketch import Sketch
from hamster.data.trace import Trace
from hamster.data.video_source import Video
from hamster.data.video_writer import write_video
from hamster.dialects import AUTO, DIALECTS, render
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Options, label_item
from hamster.label.method import Skipped
from tests.data import hdf5_files, lerobot_files, rlbench_files, rlds_files
from tests.dialects import test_all as dialects

TRIES = int(os.environ.get("HAMSTER_FUZZ", "8"))
SECONDS = 60.0  # for one damaged source; a hang is longer


def noise(seed, size=48):
    return (
        np.random.default_rng(seed)
        .integers(0, 256, (size // 8, size // 8, 3))
        .astype(np.uint8)
        .repeat(8, 0)
        .repeat(8, 1)
    )


def table(size):
    """As calm as a photograph of one."""
    across, down = np.meshgrid(np.linspace(90, 180, size), np.linspace(60, 140, size))
    return np.stack([across, (across + down) / 2, down], -1).astype(np.uint8)


def sketch(folder):
    photo = table(64)[:24]  # looked at 640 pixels wide
    drawn = photo.copy()
    drawn[10:13, 10:54] = (0, 255, 0)
    Image.fromarray(drawn).save(folder / "a.png")
    Image.fromarray(photo).save(folder / "photo.jpg")
    lines = [{"file": "a.png", "instruction": "push", "clean": "photo.jpg"}, {"file": "a.png", "instruction": "push"}]
    (folder / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return Sketch


def strokes(folder):
    Image.fromarray(table(32)).save(folder / "s.jpg")
    (folder / "s.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 90"><title>push it</title>'
        '<g transform="scale(2)"><path d="M10 10C11 18 18 11 30 30" marker-end="url(#a)"/></g>'
        '<circle cx="9" cy="9" r="4"/><polyline points="10,10 20,30 40,10"/></svg>'
    )
    drawing = {"strokes": [[[10, 10], [20, 30.5], [40, 10]], {"x": [1, 2], "y": [3, 4]}], "width": 64, "height": 48}
    (folder / "t.json").write_text(json.dumps(drawing))
    return Sketch


def points(folder):
    Image.fromarray(noise(1)).save(folder / "a.png")
    turns = [{"from": "human", "value": "<image>\nwhere?"}, {"from": "gpt", "value": "[(0.4, 0.5)]"}]
    (folder / "p.json").write_text(json.dumps([{"image": "a.png", "conversations": turns}] * 3))
    return lambda folder: Points(folder / "p.json")


def trace(folder):
    Image.fromarray(noise(2)).save(folder / "a.png")
    text = "<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21)]</ans>"
    record = {"image": "a.png", "instruction": "close it", "text": text, "dialect": "hamster"}
    (folder / "t.jsonl").write_text(json.dumps(record))
    return lambda folder: Trace(folder / "t.jsonl")


def video(folder):
    frames = np.tile(noise(3, 64), (12, 1, 1, 1))
    for i, frame in enumerate(frames):
        frame[: 20 + i, 20 + i : 30 + i] = 0
    write_video(folder / "a.mp4", frames, 10)
    return lambda folder: Video(str(folder))


def rlbench(folder):
    rlbench_files.write_episode(folder / "episode0", steps=3)
    return RLBench


def lerobot(folder):
    lerobot_files.write_dataset(folder, lengths=(4, 3))
    lerobot_files.write_sidecar(folder)
    return LeRobot


def rlds(folder):
    rlds_files.dataset(folder, [rlds_files.droid_episode()], rlds_files.droid_features())
    return RLDS


def hdf5(folder):
    hdf5_files.write_libero(folder / "demo.hdf5", steps=4)
    return lambda folder: HDF5(folder / "demo.hdf5")


KINDS = [sketch, strokes, points, trace, video, rlbench, lerobot, rlds, hdf5]


def damage(data, rng):
    """Bytes that were once a good file."""
    at, length = (int(rng.integers(0, len(data) + 1)) for _ in range(2))
    junk = rng.bytes(int(rng.integers(1, 40)))
    return [
        lambda: data[:at],
        lambda: data[:at] + junk + data[at:],
        lambda: data[:at] + junk + data[at + len(junk) :],
        lambda: data[:at] + bytes(length % 999) + data[at + length % 999 :],
        lambda: data[:at] + data[at // 2 : at // 2 + length % 999] + data[at:],
        lambda: data.replace(b"0", b"9" * 30).replace(b"1", b"-1e999"),
        lambda: data.replace(b"0.", b"NaN"),
        lambda: b"",
    ][int(rng.integers(8))]()


def check(item):
    found = label_item(item, Options(video="tracking"))
    assert isinstance(found, LabelledEpisode | AnnotatedImage | Conversation | Unreadable | Skipped)
    paths = [label.path for label in found.labels] if isinstance(found, LabelledEpisode) else []
    paths += [a.path for a in found.annotations] if isinstance(found, AnnotatedImage) else []
    assert all(np.isfinite(path.uv).all() and path.uv.min() >= 0 and path.uv.max() <= 1 for path in paths)
    if isinstance(found, Unreadable | Skipped):
        assert found.reason and "\n" not in found.reason


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_is_in_a_file_something_sensible_comes_out(tmp_path, kind):
    good = tmp_path / "good"
    good.mkdir()
    source_of = kind(good)
    files = sorted(file for file in good.rglob("*") if file.is_file())
    for seed in range(TRIES):
        rng = np.random.default_rng(seed)
        bad = tmp_path / "bad"
        shutil.copytree(good, bad)
        hurt: Path = bad / files[int(rng.integers(len(files)))].relative_to(good)
        hurt.write_bytes(damage(hurt.read_bytes(), rng))
        start = time.process_time()
        try:
            source = source_of(bad)
        except (ValueError, OSError) as error:
            assert str(error) and "\n" not in str(error)
        else:
            for index in range(min(len(source), 3)):
                check(source[index])
        assert time.process_time() - start < SECONDS, (kind, seed)
        shutil.rmtree(bad)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_model_says_it_is_a_path_or_an_error(dialect):
    whole = f"I look at the cup. {render(dialects.THREE, dialect, dialects.SIZE)}".encode()
    for seed in range(TRIES):
        rng = np.random.default_rng(seed)
        text = damage(damage(whole, rng), rng) if seed % 2 else damage(whole, rng)
        start = time.process_time()
        for name in (dialect, AUTO):
            dialects.check(text.decode("utf-8", "replace"), name)
        assert time.process_time() - start < SECONDS, seed
