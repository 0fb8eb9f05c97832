import io
import json
import zipfile

import numpy as np
import pytest

from hamster.data import AnnotatedImage
from hamster.data.sketch import Sketch
from hamster.label.label_item import Options, label_item
from hamster.path import Gripper, Path2D
from hamster.studio.errors import StudioError
from hamster.studio.examples import Examples

RGB = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
# Goes to a thing, takes it, and lets go on the way to its end: what no drawing of one arrow says.
PATH = Path2D([[0.1, 0.1], [0.6, 0.2], [0.3, 0.9], [0.9, 0.9]], [-1, 0, 1, 1])


def test_what_is_kept_is_labelled_as_it_was_drawn(tmp_path):
    examples = Examples(tmp_path)
    assert examples.keep(RGB, "put the cup there", PATH, "drawn")
    source = Sketch(tmp_path)
    label = label_item(source[0], Options())
    assert isinstance(label, AnnotatedImage) and (label.view.rgb == RGB).all()
    [annotation] = label.annotations
    assert annotation.instruction == "put the cup there"
    assert np.allclose(annotation.path.uv, PATH.uv) and annotation.path.events == PATH.events
    assert label.provenance.extra["how"]["events"] == "drawn"


def test_labels_are_simplified_as_all_others_are(tmp_path):
    line = Path2D([[0.1, 0.5], [0.3, 0.51], [0.5, 0.5], [0.7, 0.5]], [-1, -1, 0, 0])
    Examples(tmp_path).keep(RGB, "take it", line, "drawn")
    path = label_item(Sketch(tmp_path)[0], Options()).annotations[0].path
    assert path.uv.tolist() == [[0.1, 0.5], [0.5, 0.5], [0.7, 0.5]] and path.events == [(1, Gripper.CLOSED)]


def test_a_folder_is_continued_and_nothing_in_it_is_lost(tmp_path):
    first = Examples(tmp_path)
    assert first.keep(RGB, "one", PATH, "drawn") and first.keep(RGB, "two", PATH, "planned")
    again = Examples(tmp_path)
    assert len(again) == 2 and not again.keep(RGB, "one", PATH, "drawn")
    assert again.keep(255 - RGB, "one", PATH, "drawn") and len(Sketch(tmp_path)) == 3
    assert len(list((tmp_path / "images").iterdir())) == 2  # a picture is stored once


def test_what_is_not_ours_in_an_index_stays(tmp_path):
    (tmp_path / "index.jsonl").write_text('{"file": "mine.png", "instruction": "push"}\n\n')
    Examples(tmp_path).keep(RGB, "one", PATH, "drawn")
    rows = [json.loads(line) for line in (tmp_path / "index.jsonl").read_text().splitlines()]
    assert [row["instruction"] for row in rows] == ["push", "one"]


def test_an_archive_is_a_folder_of_drawings_again(tmp_path):
    examples = Examples(tmp_path / "kept")
    examples.keep(RGB, "one", PATH, "drawn")
    examples.keep(RGB, "two", PATH, "planned")
    archive = zipfile.ZipFile(io.BytesIO(b"".join(examples.archive(1 << 20))))
    assert archive.testzip() is None and len(archive.namelist()) == 2  # the index, and the picture once
    archive.extractall(tmp_path / "again")
    source = Sketch(tmp_path / "again")
    assert [source[i].instruction for i in range(2)] == ["one", "two"] and source[1].path == PATH


def test_an_archive_holds_nothing_from_outside_of_the_folder(tmp_path):
    folder = tmp_path / "kept"
    Examples(folder).keep(RGB, "one", PATH, "drawn")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("mine")
    names = [
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "notes.txt",
        "images",
        "missing.png",
        "a\0b.png",
    ]
    rows = [json.dumps({"file": name, "instruction": "go"}) for name in names] + ["no JSON", "[]", '{"file": 3}']
    with (folder / "index.jsonl").open("a") as index:
        index.write("\n".join(rows) + "\n")
    archive = zipfile.ZipFile(io.BytesIO(b"".join(Examples(folder).archive(1 << 20))))
    [image] = (folder / "images").iterdir()
    assert sorted(archive.namelist()) == [f"images/{image.name}", "index.jsonl"]
    assert len(archive.read("index.jsonl").splitlines()) == 1


def test_an_archive_has_a_limit_and_is_not_empty(tmp_path):
    examples = Examples(tmp_path)
    with pytest.raises(StudioError, match="no examples yet"):
        examples.archive(1 << 20)
    examples.keep(RGB, "one", PATH, "drawn")
    with pytest.raises(StudioError, match="copy the folder"):
        examples.archive(100)
