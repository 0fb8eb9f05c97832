"""A bad item costs itself and nothing else, whatever it does and however many processes there are."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hamster.label import read_annotated, write
from hamster.label.dataset import item_limits, left_out
from hamster.label.dataset_stats import labelled_items, survey
from hamster.label.label_item import Options, flaw_of_text
from tests.label.bad import Bad
from tests.label.made import image, talk

LIMITS = item_limits(2.0, 0.5)

DEATHS = {
    "segfault": "killed by signal 11 (SIGSEGV)",
    "abort": "killed by signal 6 (SIGABRT)",
    "look": "killed by signal 6 (SIGABRT)",
    "orphan": "ended with exit code 5",
    "exit": "ended with exit code 3",
    "sys.exit": "ended with exit code 4",
    "loop": "no result within 2 s",
    "loop in C": "no result within 2 s",
    "sleep": "no result within 2 s",
}
FLAWS = {
    "recurse": "RecursionError",
    "memory": "MemoryError: 8 TiB",
    "key": "KeyError: 'observation.state'",
    "type": "TypeError: no",
    "nothing": "AttributeError",
    "stop": "StopIteration",
    "surrogate": "half a character (a lone surrogate), which is no text, in 'take \\ud83d it'",
    "zero": "a zero byte in the text 'take\\x00it'",
    "file name": "a lone surrogate",
    "nan": "Out of range float values",
}


def numbers(folder):
    return [kept.provenance.extra.get("i") for kept in read_annotated(folder)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_ends_or_hangs_its_process_fails_alone(tmp_path, workers):
    kinds = {3 * i + 1: kind for i, kind in enumerate(DEATHS)}
    source = Bad(27, kinds)
    write([source], tmp_path / "out", workers=workers, limits=LIMITS)
    assert numbers(tmp_path / "out") == [i for i in range(27) if i not in kinds]
    failed = list(left_out(tmp_path / "out"))
    assert [each["file"] for each in failed] == [f"test:bad item {i}" for i in kinds]
    for each, reason in zip(failed, DEATHS.values(), strict=True):
        assert reason in each["reason"]


def test_what_failed_is_tried_again_only_when_asked_for_or_changed(tmp_path):
    source = Bad(8, {1: "exit", 6: "sys.exit"})
    manifest = write([source], tmp_path / "out", limits=LIMITS)
    journal = (tmp_path / "out" / "journal.jsonl").stat().st_mtime_ns
    assert write([source], tmp_path / "out", limits=LIMITS) == manifest
    assert (tmp_path / "out" / "journal.jsonl").stat().st_mtime_ns == journal
    again = write([source], tmp_path / "out", limits=LIMITS, retry_failed=True)
    assert again["digest"] == manifest["digest"] and again["counts"]["failed"] == 2
    mended = write([Bad(8, {1: "exit"})], tmp_path / "out", limits=LIMITS)
    assert mended["counts"]["failed"] == 1
    assert [each["file"] for each in left_out(tmp_path / "out")] == ["test:bad item 1"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_an_item_that_eats_memory_fails_alone(tmp_path):
    write([Bad(4, {1: "eat"})], tmp_path, limits=item_limits(120, 0.25))
    assert numbers(tmp_path) == [0, 2, 3]
    assert [each["reason"] for each in left_out(tmp_path)] == ["more than 0.2 GiB of memory"]


def test_whatever_an_item_raises_or_says_it_fails_alone(tmp_path):
    kinds = {2 * i + 1: kind for i, kind in enumerate(FLAWS)}
    source = Bad(24, kinds)
    write([source], tmp_path)
    assert numbers(tmp_path) == [i for i in range(24) if i not in kinds]
    failed = list(left_out(tmp_path))
    for each, (kind, reason) in zip(failed, FLAWS.items(), strict=True):
        assert reason in each["reason"] and each["file"], kind
        (each["file"] + each["reason"]).encode()
    assert "a\\udcff.png" in [each["file"] for each in failed]
    assert survey(labelled_items(source, Options())).outcome["failed"] >= len(FLAWS) - 1  # "nan" shows when written


def test_strict_stops_at_an_item_that_ends_its_process(tmp_path):
    with pytest.raises(ValueError, match=r"test:bad item 1: its process was killed by signal 11.*--strict"):
        write([Bad(4, {1: "segfault"})], tmp_path, strict=True)


def test_ray_isolates_as_well(tmp_path):
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'hamster-vla[ray]'")
    source = Bad(8, {1: "segfault", 6: "loop"})
    shared = write([source], tmp_path / "ray", engine="ray", workers=2, limits=LIMITS)
    assert shared["digest"] == write([source], tmp_path / "local", limits=LIMITS)["digest"]
    assert [each["file"] for each in left_out(tmp_path / "ray")] == ["test:bad item 1", "test:bad item 6"]


@pytest.mark.parametrize("kind", ["sleep", "loop in C"])
def test_no_worker_outlives_a_killed_parent(tmp_path, kind):
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\nfrom hamster.label import write\nfrom tests.label.bad import Bad\n"
        f"write([Bad(2, {{0: {kind!r}, 1: {kind!r}}}, per_shard=1)], Path({str(tmp_path / 'out')!r}), workers=2)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])}
    run = subprocess.Popen([sys.executable, script], env=env, start_new_session=True)
    try:
        _wait_for(lambda: len(_session(run.pid)) >= 4)  # the script, the fork server, two workers
        time.sleep(0.5)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        _wait_for(lambda: not _session(run.pid))
    finally:
        for pid in _session(run.pid):
            os.kill(pid, signal.SIGKILL)


def _session(leader):
    """The processes of a session that run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            _, _, rest = (place / "stat").read_text().rpartition(") ")
        except OSError:
            continue
        state, _, _, session, *_ = rest.split()
        if int(session) == leader and state != "Z":
            found.append(int(place.name))
    return found


def _wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_text_that_can_be_written_has_no_flaw():
    assert flaw_of_text(image(0)) == "" and flaw_of_text(talk(0)) == ""
    separated = replace(image(0), absent=("take it\u2028then\u2029let go", "🤖", "拿起杯子"))
    assert flaw_of_text(separated) == ""


@pytest.mark.parametrize("limits", [(-1, None), (float("nan"), None), (1, -2), (float("inf"), None)])
def test_limits_are_numbers(limits):
    with pytest.raises(ValueError, match="limits are numbers >= 0"):
        item_limits(*limits)
