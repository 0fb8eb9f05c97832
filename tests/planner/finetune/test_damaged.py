"""A fine-tuning whose last checkpoint was damaged goes on from the one before, and says so."""

from __future__ import annotations

import logging

import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("trl")

from hamster.planner.finetune.trainer import COMPLETE_MARK, last_complete_checkpoint


@pytest.fixture
def state(tmp_path):
    for step in (8, 12):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"weight": torch.ones(99)}, folder / "model.safetensors")
        torch.save({"step": step}, folder / "optimizer.pt")
        torch.save({"rng": step}, folder / "rng_state.pth")
        (folder / "trainer_state.json").write_text("{}")
        (folder / COMPLETE_MARK).touch()
    return tmp_path


def test_the_newest_that_is_whole_is_taken(state):
    assert last_complete_checkpoint(state).name == "checkpoint-12"
    (state / "checkpoint-12" / COMPLETE_MARK).unlink()
    assert last_complete_checkpoint(state).name == "checkpoint-8"
    assert last_complete_checkpoint(state / "gone") is None


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "rng_state.pth", "trainer_state.json"])
def test_a_cut_file_sends_it_back_to_the_checkpoint_before(name, state, caplog):
    for step, left in ((12, "checkpoint-8"), (8, None)):
        file = state / f"checkpoint-{step}" / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        if left is None:
            with pytest.raises(ValueError, match="lost; remove"):
                last_complete_checkpoint(state)
        else:
            with caplog.at_level(logging.WARNING):
                assert last_complete_checkpoint(state).name == left
            assert str(file) in caplog.text and "goes on from checkpoint-8" in caplog.text
