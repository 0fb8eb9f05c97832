import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hamster.dialects import parse
from hamster.label.export import FORMATS, export
from hamster.label.export.staging import NOTE
from tests.label.export import made


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_labels_give_the_same_bytes(tmp_path, form):
    folder = made.episodes(tmp_path)
    first, second = export(folder, tmp_path / "a", form), export(folder, tmp_path / "b", form)
    assert made.differences(tmp_path / "a", tmp_path / "b") == ""
    assert first == second
    assert first["files"] == len(made.content(tmp_path / "a")) - 1 and first["rows"] > 0
    assert not list(tmp_path.glob(".*part"))


def test_what_is_done_is_not_done_again_and_nothing_else_is_overwritten(tmp_path):
    folder = made.images(tmp_path)
    first = export(folder, tmp_path / "out", "trl")
    before = (tmp_path / "out" / NOTE).stat().st_mtime_ns
    assert export(folder, tmp_path / "out", "trl") == first
    assert (tmp_path / "out" / NOTE).stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds something else already"):
        export(folder, tmp_path / "out", "llava")
    with pytest.raises(ValueError, match="holds something else already"):
        export(folder, folder, "llava")
    (tmp_path / "empty").mkdir()
    assert export(folder, tmp_path / "empty", "llava")["rows"] == 5


def test_users_errors_name_the_alternatives(tmp_path):
    with pytest.raises(ValueError, match="unknown format 'rlds'; there are lerobot, trl, llava"):
        export(tmp_path, tmp_path / "out", "rlds")
    with pytest.raises(ValueError, match="no label set"):
        export(tmp_path, tmp_path / "out", "trl")
    folder = made.images(tmp_path)
    with pytest.raises(ValueError, match="dialect"):
        export(folder, tmp_path / "out", "trl", dialect="klingon")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*part"))


KILLED = "import sys; from hamster.label.export import export; export(sys.argv[1], sys.argv[2], 'llava')"


def test_a_killed_export_leaves_nothing_and_the_next_one_is_the_same(tmp_path):
    folder = made.images(tmp_path, n=40)
    whole = export(folder, tmp_path / "whole", "llava")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "out")])
    part, until = tmp_path / ".out.part", time.monotonic() + 30
    while not part.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert export(folder, tmp_path / "out", "llava") == whole
    assert made.content(tmp_path / "out") == made.content(tmp_path / "whole") and not part.exists()


def rows_of(folder):
    return [row for file in sorted((folder / "data").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_trl_has_a_question_an_image_and_an_answer_in_every_row(tmp_path):
    summary = export(made.episodes(tmp_path), tmp_path / "out", "trl", frames_per_episode=3)
    rows = rows_of(tmp_path / "out")
    assert len(rows) == summary["rows"] == summary["paths"] == 6 and summary["left_out"] == 0
    for row in rows:
        user, assistant = row["messages"]
        assert [part["type"] for part in user["content"]] == ["image", "text"] and len(row["images"]) == 1
        assert "<quest>reach it</quest>" in user["content"][1]["text"] and user["role"] == "user"
        assert len(parse(assistant["content"][0]["text"])) >= 1 and assistant["role"] == "assistant"
        assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == (32, 32)
    assert rows[0]["source"].endswith("frame 0") and rows[2]["source"].endswith("frame 5")
    described = json.loads(pq.read_schema(next((tmp_path / "out" / "data").iterdir())).metadata[b"huggingface"])
    assert described["info"]["features"]["images"]["feature"]["_type"] == "Image"


def test_trl_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("hamster.label.export.trl._BATCH", 2)
    monkeypatch.setattr("hamster.label.export.trl._BATCHES_PER_FILE", 2)
    export(made.images(tmp_path, n=9), tmp_path / "out", "trl")
    sizes = [pq.read_metadata(file).num_rows for file in sorted((tmp_path / "out" / "data").iterdir())]
    assert sizes == [4, 4, 1]
    assert "take thing 8" in rows_of(tmp_path / "out")[8]["messages"][0]["content"][1]["text"]


def test_llava_has_each_image_once(tmp_path):
    summary = export(made.images(tmp_path), tmp_path / "out", "llava")
    records = json.loads((tmp_path / "out" / "train.json").read_text())
    assert summary["images"] == summary["rows"] == len(records) == 5
    for i, record in enumerate(records):
        human, gpt = record["conversations"]
        assert (
            human["from"] == "human" and human["value"].startswith("<image>\n") and f"take thing {i}" in human["value"]
        )
        assert parse(gpt["value"]).events and gpt["from"] == "gpt"
        rgb = np.asarray(Image.open(tmp_path / "out" / record["image"]))
        assert rgb.shape == (16, 16, 3) and np.abs(rgb[:8].astype(int) - i).max() <= 2


@pytest.mark.parametrize("form", ["trl", "llava"])
def test_conversations_keep_their_answers_and_lost_images_are_counted(tmp_path, form):
    summary = export(made.conversations(tmp_path), tmp_path / "out", form)
    counts = {key: summary[key] for key in ("rows", "images", "paths", "left_out")}
    assert counts == {"rows": 2, "images": 1, "paths": 0, "left_out": 1}
    if form == "trl":
        first, second = rows_of(tmp_path / "out")
        texts = [part["text"] for message in first["messages"] for part in message["content"]]
        assert texts == [None, "where is it?", "[(0.1, 0.2)]", "sure?", "yes"] and second["images"] == []
    else:
        first, second = json.loads((tmp_path / "out" / "train.json").read_text())
        assert [turn["value"] for turn in first["conversations"]] == [
            "<image>\nwhere is it?", "[(0.1, 0.2)]", "sure?", "yes"]  # fmt: skip
        assert (tmp_path / "out" / first["image"]).read_bytes() == (tmp_path / "cup.png").read_bytes()
        assert "image" not in second
