"""An export follows its labels, as long as nobody has touched it; and one process at a time writes it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from hamster.files import FolderInUseError, lock_folder
from hamster.label import annotated, write
from hamster.label.export import export
from hamster.label.export.staging import NOTE
from tests.label.made import Images, image
from tests.label_sets import write_manifest


@pytest.fixture
def exported(tmp_path):
    write([Images(3)], tmp_path / "labels", engine="inline")
    first = export(tmp_path / "labels", tmp_path / "out", "llava")
    shutil.rmtree(tmp_path / "labels")
    write([Images(5)], tmp_path / "labels", engine="inline")
    return tmp_path / "labels", tmp_path / "out", first


def files_beside(out):
    return sorted(path.name for path in out.parent.iterdir())


def test_an_export_of_changed_labels_is_replaced(exported):
    labels, out, first = exported
    second = export(labels, out, "llava")
    assert (first["rows"], second["rows"]) == (3, 5) and len(json.loads((out / "train.json").read_text())) == 5
    assert second == export(labels, out, "llava") == {**export(labels, out.with_name("fresh"), "llava")}
    assert files_beside(out) == ["fresh", "labels", "out"] and not list(out.glob(".*"))


@pytest.mark.parametrize("touch", ["changed", "added", "removed"])
def test_an_export_that_somebody_touched_is_not_replaced(exported, touch):
    labels, out, _ = exported
    if touch == "changed":
        (out / "train.json").write_text("[]")
    elif touch == "added":
        (out / "notes.txt").write_text("mine")
    else:
        (out / "train.json").unlink()
    with pytest.raises(ValueError, match=r"holds something else already: .* touched since \(format llava"):
        export(labels, out, "llava")
    assert files_beside(out) == ["labels", "out"]


def test_other_settings_and_older_exports_are_not_replaced(exported):
    labels, out, _ = exported
    with pytest.raises(ValueError, match="holds something else already"):
        export(labels, out, "llava", dialect="nano")
    note = json.loads((out / NOTE).read_text())
    (out / NOTE).write_text(json.dumps({"key": "0" * 64, "summary": note["summary"]}))
    with pytest.raises(ValueError, match="an export by an older version"):
        export(labels, out, "llava")
    (out / NOTE).write_text("[1")
    with pytest.raises(ValueError, match="holds something else already; choose another folder"):
        export(labels, out, "llava")


def test_a_second_process_that_exports_into_the_same_folder_is_refused(exported):
    labels, out, _ = exported
    hold = "import sys, time, pathlib\nfrom hamster.files import lock_folder\n"
    hold += "with lock_folder(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(100)\n"
    other = subprocess.Popen([sys.executable, "-c", hold, out.with_name(".out.part")], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUseError, match=rf"{out} is in use by another run \(process {other.pid} on"):
            export(labels, out, "llava")
    finally:
        other.kill()
        other.wait()
    assert export(labels, out, "llava")["rows"] == 5
    with lock_folder(labels):
        assert export(labels, out, "llava")["rows"] == 5


@pytest.mark.parametrize("format", ["llava", "trl", "lerobot"])
def test_text_of_an_older_label_set_that_no_file_can_hold_is_named(tmp_path, format):
    if format != "llava":
        pytest.importorskip("pyarrow")
    bad = replace(image(1).annotations[0], instruction="take \ud83d it")
    origin = replace(image(1).provenance, file="photos/7.png")
    images = [image(0), replace(image(1), annotations=[bad], provenance=origin)]
    for name, data in annotated.pack(images, "shard-00000").items():
        (tmp_path / name).write_bytes(data)
    write_manifest(tmp_path, "annotated", ["shard-00000.npz", "shard-00000.jsonl"])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "digest": ""}))
    with pytest.raises(ValueError, match=r"photos/7\.png: half a character .* label its source again"):
        export(tmp_path, tmp_path / "out", format)
    assert not (tmp_path / "out").exists()
