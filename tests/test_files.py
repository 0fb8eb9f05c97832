from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import pytest

from hamster.files import FolderInUseError, lock_folder, replacing, set_usual_mode, write_atomic

HOLD = """
import sys, time
from pathlib import Path
from hamster.files import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_write_replaces_text_bytes_and_parts_and_leaves_no_temporary(tmp_path):
    for content, expected in (("é", "é".encode()), (b"abc", b"abc"), ([b"a", b"b"], b"ab")):
        write_atomic(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == expected
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_content(tmp_path):
    def parts():
        yield b"half"
        raise RuntimeError("disk")

    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError, match="disk"):
        write_atomic(tmp_path / "file", parts())
    assert (tmp_path / "file").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_files_get_the_mode_that_open_gives(tmp_path):
    (tmp_path / "plain").write_text("")
    write_atomic(tmp_path / "atomic", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o007])
def test_a_library_that_writes_private_files_writes_usual_ones(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("")
        with replacing(tmp_path / "one") as part:
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
        (tmp_path / "below").mkdir()
        os.close(os.open(tmp_path / "below" / "two", os.O_CREAT | os.O_WRONLY, 0o600))
        set_usual_mode(tmp_path)
    finally:
        os.umask(before)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.rglob("*") if file.is_file()}
    assert files == dict.fromkeys(("plain", "one", "two"), 0o666 & ~umask)


def test_a_failed_replacement_keeps_the_old_content(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError, match="disk"), replacing(tmp_path / "file") as part:
        part.write_text("half")
        raise RuntimeError("disk")
    assert (tmp_path / "file").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_second_process_is_refused_by_name_and_a_dead_one_is_taken_over(tmp_path):
    process = _holder(tmp_path / "out")
    try:
        with pytest.raises(FolderInUseError, match=f"process {process.pid} on "), lock_folder(tmp_path / "out"):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with lock_folder(tmp_path / "out"):
        pass
    process = _holder(tmp_path / "out")  # free again
    process.kill()
    process.wait()


def test_the_same_process_may_hold_a_folder_twice(tmp_path):
    with lock_folder(tmp_path), lock_folder(tmp_path):
        pass
    process = _holder(tmp_path)
    process.kill()
    process.wait()
