"""A label set holds what its source holds: after a change it is what a new folder would hold, or it is refused."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hamster.data import Inputs
from hamster.data.registry import open_source
from hamster.data.rlbench import RLBench
from hamster.files import lock_folder
from hamster.label import read_annotated, read_episodes, write
from hamster.label.dataset import left_out, read_manifest
from hamster.label.label_item import Options
from tests.data.hdf5_files import write_libero
from tests.data.lerobot_files import write_dataset, write_sidecar
from tests.data.rlbench_files import write_episode
from tests.data.rlds_files import dataset, droid_episode, droid_features
from tests.label.made import Images, Listed, image


def episode(folder, number, steps=3, **rest):
    write_episode(folder / f"episode{number}", steps=steps, phrases=[f"reach it {number}"], **rest)


def names(folder):
    return [labelled.episode.provenance.file.split("/")[0] for labelled in read_episodes(folder)]


def fresh(source, folder, **rest):
    shutil.rmtree(folder, ignore_errors=True)
    return write([source], folder, engine="inline", **rest)["digest"]


def same_files(one, other):
    """Whether two label sets hold the same files with the same content, apart from what describes the run."""

    def files(folder):
        kept = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        return {
            str(p.relative_to(folder)): p.read_bytes() for p in kept if p.name not in ("manifest.json", "journal.jsonl")
        }

    return files(one) == files(other)


@pytest.fixture
def demos(tmp_path):
    episode(tmp_path / "in", 0)
    episode(tmp_path / "in", 2)
    write([RLBench(tmp_path / "in")], tmp_path / "out")
    return tmp_path / "in", tmp_path / "out"


def labelled_again(demos, notices=None):
    """The same command again; which items were read for it."""
    folder, out = demos
    before = {p: p.stat().st_ino for p in out.glob("ep-*.npz")}
    manifest = write([RLBench(folder)], out, on_notice=(notices if notices is not None else []).append)
    after = {p: p.stat().st_ino for p in out.glob("ep-*.npz")}
    assert manifest["digest"] == fresh(RLBench(folder), out.with_name("fresh"))
    assert manifest["counts"] == read_manifest(out.with_name("fresh"))["counts"]
    assert same_files(out, out.with_name("fresh"))
    return len(set(after.values()) - set(before.values()))


def test_an_added_episode_is_labelled_and_the_others_move(demos):
    folder, out = demos
    episode(folder, 1, steps=4)
    notices = []
    assert labelled_again(demos, notices) == 1
    assert names(out) == ["episode0", "episode1", "episode2"]
    assert "2 shard(s) are still the same, 1 to be labelled (episode1)" in notices[0]
    assert labelled_again(demos, notices) == 0 and len(notices) == 1


def test_a_replaced_episode_is_labelled_again(demos):
    folder, out = demos
    shutil.rmtree(folder / "episode2")
    episode(folder, 2, steps=5)
    notices = []
    assert labelled_again(demos, notices) == 1
    assert [len(labelled.labels) for labelled in read_episodes(out)] == [3, 5]
    assert "1 changed or gone (episode2), 1 to be labelled (episode2)" in notices[0]


def test_an_image_of_the_same_size_and_time_is_noticed(demos):
    folder, out = demos
    file = folder / "episode0" / "front_rgb" / "1.png"
    facts, content = file.stat(), bytearray(file.read_bytes())
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    changed = file.read_bytes()
    file.write_bytes((changed + b"\0" * len(content))[: max(len(changed), len(content))])
    os.truncate(file, max(len(changed), len(content)))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert labelled_again(demos) == 1 and names(out) == ["episode0", "episode2"]


def test_removed_reordered_and_renamed_episodes(demos):
    folder, out = demos
    episode(folder, 1)
    labelled_again(demos)
    shutil.rmtree(folder / "episode0")
    assert labelled_again(demos) == 0 and names(out) == ["episode1", "episode2"]
    assert not (out / "ep-00002.npz").exists() and not (out / "drawn" / "ep-00002.png").exists()
    (folder / "episode1").rename(folder / "episode11")
    assert labelled_again(demos) == 1 and names(out) == ["episode2", "episode11"]
    (folder / "episode2").rename(folder / "x")
    (folder / "episode11").rename(folder / "episode2")
    (folder / "x").rename(folder / "episode11")
    labelled_again(demos)


def test_touched_files_with_the_same_content_are_no_change(demos):
    folder, _ = demos
    notices = []
    for file in folder.rglob("*.p*"):
        os.utime(file)
    assert labelled_again(demos, notices) == 0 and notices == []


@pytest.mark.parametrize("copy", [True, False])
def test_a_source_that_moved_is_gone_on_with(demos, tmp_path, copy):
    folder, out = demos
    digest = read_manifest(out)["digest"]
    place = tmp_path / "elsewhere" / "in"
    place.parent.mkdir()
    shutil.copytree(folder, place) if copy else folder.rename(place)
    assert write([RLBench(place)], out, on_notice=pytest.fail)["digest"] == digest
    episode(place, 1)
    assert labelled_again((place, out)) == 1


def test_another_folder_is_not_taken_for_a_change(demos, tmp_path):
    _, out = demos
    digest = read_manifest(out)["digest"]
    episode(tmp_path / "other", 0, steps=6)
    with pytest.raises(ValueError, match=r"another run: 2 of its shards \(episode0, episode2\) are not in rlbench:"):
        write([RLBench(tmp_path / "other")], out)
    with pytest.raises(ValueError, match="another run: its seed was None, not 1"):
        write([RLBench(tmp_path / "in")], out, seed=1)
    with pytest.raises(ValueError, match=r"another run: its options were .*'epsilon': 0\.05.* not .*'epsilon': 0\.1"):
        write([RLBench(tmp_path / "in")], out, options=Options(epsilon=0.1))
    with pytest.raises(ValueError, match="another run: its sources were"):
        write([RLBench(tmp_path / "in"), Images(2)], out)
    assert read_manifest(out)["digest"] == digest and names(out) == ["episode0", "episode2"]


def test_a_source_that_cannot_say_what_it_is_made_of_may_not_change_its_length(tmp_path):
    write([Images(4)], tmp_path)
    with pytest.raises(ValueError, match=r"another run: its sizes were \[4\], not \[5\]"):
        write([Images(5)], tmp_path)


def test_a_set_of_an_older_version_is_read_but_not_continued(tmp_path):
    write([Images(4)], tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    for key in ("places", "version", "sizes"):
        del lines[0][key]
    for line in lines[1:]:
        del line["inputs"]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(list(read_annotated(tmp_path))) == 4
    with pytest.raises(ValueError, match="labelled by an older version"):
        write([Images(4)], tmp_path)
    assert len(list(read_annotated(tmp_path))) == 4


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_the_set_is_what_a_new_folder_would_hold(tmp_path, seed):
    draw, folder, out = random.Random(seed), tmp_path / "in", tmp_path / "out"
    episode(folder, 50)
    for _ in range(4):
        write([RLBench(folder)], out)
        for _ in range(draw.randint(1, 4)):
            there = sorted(folder.iterdir())
            change = draw.choice(["add", "add", "replace", "remove", "swap"])
            if change == "add":
                episode(folder, draw.randrange(100), steps=draw.randint(3, 6))
            elif change == "replace":
                shutil.rmtree(place := draw.choice(there))
                write_episode(place, steps=draw.randint(3, 6))
            elif len(there) > 1 and change == "remove":
                shutil.rmtree(draw.choice(there))
            elif len(there) > 1:
                one, other = draw.sample(there, 2)
                for now, then in ((one, folder / "x"), (other, one), (folder / "x", other)):
                    now.rename(then)
    assert write([RLBench(folder)], out, workers=2)["digest"] == fresh(RLBench(folder), tmp_path / "fresh")
    assert same_files(out, tmp_path / "fresh")


def test_a_run_that_is_killed_while_files_get_new_numbers_loses_nothing_but_time(demos, monkeypatch):
    folder, out = demos
    episode(folder, 1)
    replace, moves = Path.replace, []

    def stop_at(count):
        def replaced(self, target):
            nonlocal moves
            moves += [self] if ".moved" in f"{self} {target}" else []
            if len(moves) > count:
                raise KeyboardInterrupt
            return replace(self, target)

        return replaced

    for count in range(6):
        moves.clear()
        broken = out.with_name(f"broken{count}")
        shutil.copytree(out, broken)
        monkeypatch.setattr(Path, "replace", stop_at(count))
        with pytest.raises(KeyboardInterrupt):
            write([RLBench(folder)], broken, engine="inline")
        monkeypatch.undo()
        with pytest.raises(ValueError, match="not finished"):
            names(broken)
        write([RLBench(folder)], broken, engine="inline")
        assert names(broken) == ["episode0", "episode1", "episode2"] and not list(broken.rglob(".*moved"))


@dataclass(frozen=True)
class _WrittenTo:
    """Images; while the second is read, somebody writes to its file."""

    folder: Path
    uri: str = "test:written"
    per_shard: int = 1
    is_written_to: bool = True

    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i == 1 and self.is_written_to:
            (self.folder / "1").write_text("changed")
        return image(i)

    def inputs(self, i):
        return Inputs(f"item {i}", [self.folder / str(i)], str(i))


def test_a_source_that_changes_while_it_is_read(tmp_path):
    for i in range(3):
        (tmp_path / str(i)).write_text("x")
    write([_WrittenTo(tmp_path)], tmp_path / "out")
    (left,) = left_out(tmp_path / "out")
    assert left["file"] == "item 1" and "written to while it was read" in left["reason"]
    manifest = write([_WrittenTo(tmp_path, is_written_to=False)], tmp_path / "out")
    assert manifest["counts"]["labelled"] == 3 and not list(left_out(tmp_path / "out"))


# Every reader: one more item, in its midst or at its end, and a changed one.


def _lerobot(folder, lengths, version):
    shutil.rmtree(folder, ignore_errors=True)
    write_dataset(folder, version, lengths)
    write_sidecar(folder)


def _rlds(folder, seeds):
    dataset(folder, [droid_episode(seed=seed) for seed in seeds], droid_features())


def _hdf5(folder, demos):
    folder.mkdir(exist_ok=True)
    write_libero(folder / "a_demo.hdf5", [f"demo_{number}" for number in demos])


def _sketch(folder, numbers):
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number in numbers:
        lines = [[[10, 10], [50 + number, 60 + number]]]
        record = {"width": 100, "height": 100, "instruction": f"move the cup {number}", "strokes": lines}
        (folder / f"move the cup {number}.json").write_text(json.dumps(record))
        Image.new("RGB", (100, 100), "white").save(folder / f"move the cup {number}.png")


def _points(folder, numbers):
    folder.mkdir(exist_ok=True)
    rows = [{"id": n, "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": str(n)}]}
            for n in numbers]  # fmt: skip
    (folder / "all.json").write_text(json.dumps(rows))


def _trace(folder, numbers):
    folder.mkdir(exist_ok=True)
    Image.linear_gradient("L").resize((40, 40)).convert("RGB").save(folder / "a.png")
    rows = [{"image": "a.png", "instruction": f"take {n}", "points": [[0.1, 0.1], [0.2, n / 100]]} for n in numbers]
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


READERS = {  # how it is written, of what first and then, and how many items must be labelled then
    "lerobot v3.0": ("lerobot:in", lambda f, v: _lerobot(f, v, "v3.0"), (8, 6), (8, 7, 6)),
    "lerobot v2.1": ("lerobot:in", lambda f, v: _lerobot(f, v, "v2.1"), (8, 6), (8, 7, 6)),
    "hdf5": ("hdf5:in", _hdf5, (0, 2), (0, 1, 2)),
    "sketch": ("sketch:in", _sketch, (10, 30), (10, 20, 31)),
    "points": ("points:in/all.json", _points, (1, 3), (1, 2, 3)),
    "trace": ("trace:in/all.jsonl", _trace, (1, 3), (2, 3, 4)),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_notices_what_changes(tmp_path, monkeypatch, name):
    for needed in ("pyarrow", "h5py", "svgelements"):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    uri, make, before, after = READERS[name]
    make(Path("in"), before)
    digest = write([open_source(uri)], Path("out"))["digest"]
    make(Path("in"), after)
    assert write([open_source(uri)], Path("out"))["digest"] == fresh(open_source(uri), Path("fresh")) != digest
    assert same_files(Path("out"), Path("fresh"))


def digests(source):
    return [source.inputs(i).digest() for i in range(len(source))]


def test_what_an_episode_is_made_of_changes_with_it_alone(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("google_crc32c")
    _rlds(tmp_path / "rlds", (0, 1))
    before = digests(open_source(f"rlds:{tmp_path / 'rlds'}"))
    _rlds(tmp_path / "rlds", (0, 3, 1))
    after = digests(open_source(f"rlds:{tmp_path / 'rlds'}"))
    assert after[0] == before[0] and before[1] not in after and len(set(after)) == 3
    _lerobot(tmp_path / "lerobot", (8, 6), "v2.1")
    before = digests(open_source(f"lerobot:{tmp_path / 'lerobot'}"))
    _lerobot(tmp_path / "lerobot", (8, 6, 7), "v2.1")
    after = digests(open_source(f"lerobot:{tmp_path / 'lerobot'}"))
    assert after[:2] == before and after[2] not in before
    write_sidecar(tmp_path / "lerobot", width=47)
    assert not set(digests(open_source(f"lerobot:{tmp_path / 'lerobot'}"))) & set(after)


def test_what_a_video_is_made_of_are_the_notes_beside_it_too(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "b.mp4").write_bytes(b"b")
    source = open_source(f"video:{tmp_path}")
    before = digests(source)
    (tmp_path / "a.txt").write_text("take the cup")
    assert digests(source)[0] != before[0] and digests(source)[1] == before[1]


def test_generators_refuse_fewer(tmp_path):
    manifest = write([open_source("tabletop-images:2")], tmp_path)
    assert write([open_source("tabletop-images:2")], tmp_path) == manifest
    with pytest.raises(ValueError, match="another run"):
        write([open_source("tabletop-images:1")], tmp_path)
    inputs = [source.inputs(1).digest() for source in (open_source("tabletop:2", seed) for seed in (0, 1))]
    assert inputs[0] != inputs[1] and open_source("tabletop:3", 0).inputs(1).digest() == inputs[0]


# Two processes, one folder.

RUN = """
import sys
from pathlib import Path
from hamster.label import write
from tests.label.made import Images
try:
    print(write([Images(12, delay_s=float(sys.argv[2]))], Path(sys.argv[1]), engine=sys.argv[3])["digest"])
except ValueError as error:
    print(error)
"""


def start(folder, delay_s=0.0, engine="local"):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])}
    command = [sys.executable, "-c", RUN, str(folder), str(delay_s), engine]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_run_into_the_same_folder_is_refused_and_takes_over_from_a_dead_one(tmp_path):
    out, digest = tmp_path / "out", fresh(Images(12), tmp_path / "fresh")
    first = start(out, delay_s=0.5)
    wait_until(lambda: (out / "journal.jsonl").exists())
    second = start(out)
    assert f"in use by another run (process {first.pid} on " in second.communicate(timeout=120)[0]
    with pytest.raises(ValueError, match="is not finished"):  # readers, meanwhile
        list(read_annotated(out))
    first.kill()
    first.wait()
    assert start(out).communicate(timeout=120)[0].strip() == digest


def test_runs_that_start_together_are_one_run(tmp_path):
    digest = fresh(Images(12), tmp_path / "fresh")
    answers = [run.communicate(timeout=120)[0].strip() for run in [start(tmp_path / "out") for _ in range(2)]]
    assert digest in answers and all(a == digest or "in use by another run" in a for a in answers)
    assert read_manifest(tmp_path / "out")["digest"] == digest
    assert len(list(read_annotated(tmp_path / "out"))) == 12


def test_a_reader_never_takes_the_halves_of_two_runs_for_one_set(demos):
    """Training reads on while episodes are added: it gets the old set, the new set, or one clear line."""
    folder, out = demos
    before = [len(labelled.labels) for labelled in read_episodes(out)]
    sets, errors, end = [], [], threading.Event()

    def read():
        while not end.is_set():
            try:
                sets.append([len(labelled.labels) for labelled in read_episodes(out)])
            except ValueError as error:
                errors.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    episode(folder, 1, steps=4)
    write([RLBench(folder)], out)
    after = [len(labelled.labels) for labelled in read_episodes(out)]
    time.sleep(0.3)
    end.set()
    reader.join()
    assert before == [3, 3] and after == [3, 4, 3] and all(one in (before, after) for one in sets)
    assert all("not finished" in e or "written to" in e or "not of one run" in e or "not what" in e for e in errors)


def test_a_lock_of_this_process_lets_it_write(tmp_path):
    with lock_folder(tmp_path / "out"):
        assert write([Listed((image(0),))], tmp_path / "out")["counts"]["labelled"] == 1
