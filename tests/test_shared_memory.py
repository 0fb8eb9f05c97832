import sys

import pytest

from hamster import shared_memory
from hamster.shared_memory import loader_processes, missing_shared_memory


def test_processes_that_can_share_memory_are_used(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", tmp_path)
    assert loader_processes(2) == 2 and loader_processes(0) == 0 and not missing_shared_memory() and not caplog.records


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps shared memory in a folder")
def test_without_shared_memory_training_goes_on_alone_and_says_what_is_missing(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", tmp_path / "shm")
    assert loader_processes(2) == 0
    assert loader_processes(0) == 0  # who needs none is told nothing
    (line,) = caplog.messages
    assert str(tmp_path / "shm") in line and "no such file" in line and "mount a tmpfs" in line and "\n" not in line
