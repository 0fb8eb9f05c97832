"""A full disk stops a run with one line; nothing is blamed on an item, and the same call goes on."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hamster.cli import main
from hamster.data.video_writer import VideoWriter
from hamster.evaluate import EvalConfig
from hamster.evaluate.run import evaluate_config
from hamster.files import lock_folder
from hamster.label import shards, write
from hamster.label.dataset import left_out
from hamster.stopped import RunStoppedError
from tests.evaluate import fakes
from tests.label.made import Images, image
from tests.label.test_nothing_shown import episode

FULL = OSError(errno.ENOSPC, "No space left on device")


def failing(real, number, error=FULL):
    """A function that does what another does, and raises in call `number`."""
    calls = []

    def stand_in(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise error
        return real(*args, **kwargs)

    return stand_in


@dataclass(frozen=True)
class Filling:
    """Images that cannot be read while the disk is full, which the file `full` says."""

    full: Path
    n: int = 4
    per_shard: int = 1
    uri: str = "test:filling"

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i == 2 and self.full.exists():
            raise OSError(errno.EDQUOT, "Disk quota exceeded", "scratch.mp4")
        return image(i)


@dataclass(frozen=True)
class Filmed:
    """One episode whose images are kept as a video."""

    per_shard: int = 1
    uri: str = "test:filmed"

    def __len__(self):
        return 1

    def __getitem__(self, i):
        return episode()


def real_full_disk():
    with Path("/dev/full").open("wb", buffering=0) as stream:
        stream.write(b"x")


def by_cause():
    try:
        real_full_disk()
    except OSError as error:
        raise RuntimeError("cannot encode") from error


def by_words():
    raise RuntimeError("I/O error: No space left on device (os error 28)")  # safetensors


@pytest.mark.parametrize("fill", [real_full_disk, by_cause, by_words])
def test_whoever_holds_a_folder_stops_in_one_line(tmp_path, fill):
    with (
        pytest.raises(RunStoppedError, match=r"the disk is full.*the same command again") as caught,
        lock_folder(tmp_path / "outer"), lock_folder(tmp_path / "inner"),
    ):  # fmt: skip
        fill()
    assert "\n" not in str(caught.value)
    with lock_folder(tmp_path / "outer"):
        pass


def test_torch_says_only_that_it_failed_so_free_space_decides(tmp_path, monkeypatch):
    def save():
        with lock_folder(tmp_path):
            raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    with pytest.raises(RuntimeError, match="failed writing"):
        save()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(RunStoppedError, match="the disk is full"):
        save()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_labelling_stops_and_goes_on(tmp_path, monkeypatch, number):
    real = shards.write_atomic
    monkeypatch.setattr(shards, "write_atomic", failing(real, number))
    with pytest.raises(RunStoppedError, match="the disk is full"):
        write([Images(12)], tmp_path / "out", engine="inline")
    monkeypatch.setattr(shards, "write_atomic", real)
    manifest = write([Images(12)], tmp_path / "out", engine="inline")
    assert manifest["counts"]["failed"] == 0 and not list(left_out(tmp_path / "out"))
    assert manifest["digest"] == write([Images(12)], tmp_path / "whole", engine="inline")["digest"]


@pytest.mark.parametrize("workers", [1, 2])
def test_in_another_process_it_is_no_fault_of_the_item_either(tmp_path, workers):
    source = Filling(tmp_path / "full")
    source.full.touch()
    with pytest.raises(RunStoppedError, match=r"the disk is full \(scratch.mp4\)"):
        write([source], tmp_path / "out", workers=workers)
    source.full.unlink()
    counts = write([source], tmp_path / "out", workers=workers)["counts"]
    assert counts["labelled"] == 4 and counts["failed"] == 0


def test_nor_where_an_episode_is_encoded(tmp_path, monkeypatch):
    real = VideoWriter._mux
    monkeypatch.setattr(VideoWriter, "_mux", failing(real, 2))
    with pytest.raises(RunStoppedError, match="the disk is full"):
        write([Filmed()], tmp_path, engine="inline")
    monkeypatch.setattr(VideoWriter, "_mux", real)
    assert write([Filmed()], tmp_path, engine="inline")["counts"]["labelled"] == 1


def test_an_export_stops_and_leaves_nothing(tmp_path):
    from hamster.label.export.staging import Staged

    with pytest.raises(RunStoppedError, match="the disk is full"), Staged(tmp_path / "set", {}, "content"):
        real_full_disk()
    assert not list(tmp_path.iterdir())


def test_an_evaluation_stops_and_goes_on(tmp_path, monkeypatch):
    config = EvalConfig(tmp_path, planners=("oracle", "none"), episodes=3, workers=1, videos=False)
    bench = fakes.load_worker(config)

    @dataclass(frozen=True)
    class Filling(type(bench)):
        def run(self, trial):
            record = super().run(trial)
            if trial.scene == 1:
                raise FULL
            return record

    def full(config):
        return Filling(**vars(fakes.load_worker(config)))

    with pytest.raises(RunStoppedError, match="the disk is full"):
        evaluate_config(config, load_worker=full)
    assert len((tmp_path / "rollouts.jsonl").read_text().splitlines()) == 2
    info = evaluate_config(config, load_worker=fakes.load_worker)
    assert info["meta"]["n_resumed"] == 2 and info["conditions"]["none"]["n_episodes"] == 3


def test_the_command_says_so_and_ends_with_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shards, "write_atomic", failing(shards.write_atomic, 1))
    command = ["label", "tabletop-images:1", "--out", str(tmp_path / "out"), "--engine", "inline"]
    assert main(command) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("hamster: the disk is full") and "the same command again" in line


def test_other_errors_are_still_the_items(tmp_path):
    counts = write([Images(4, broken=1)], tmp_path, engine="inline")["counts"]
    assert counts["failed"] == 1
