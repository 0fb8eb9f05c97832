"""Co-training: half of each batch stays paths on images."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import synthetic
import torch

from hamster.nano import tokens
from hamster.nano.modeling import HamsterNanoForConditionalGeneration
from hamster.nano.targets import answer_loss
from hamster.policy import checkpoint
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.monolithic.path_task import PathTask
from hamster.policy.registry import build_actor
from hamster.policy.training.check_actor import check_actor
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import preset
from hamster.policy.training.samples import Samples
from hamster.policy.training.train import train_policy


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Demonstrations, which have paths on images, too."""
    return synthetic.write(tmp_path_factory.mktemp("labels"), {"pick_place": 1, "press": 1}, size=64, between=0)


@pytest.fixture
def cotrained(planner):
    torch.manual_seed(0)
    return build_actor(MonolithicConfig(planner=str(planner), co_training=True))


def debug(planner, steps: int):
    config = preset("monolithic-cotrained")
    actor = replace(config.actor, planner=str(planner))
    return replace(
        config, actor=actor, steps=steps, batch_size=2, warmup_steps=1, held_out_every=0, num_workers=0, bf16=False,
        save_every=1, evaluate_every=100,
    )  # fmt: skip


def test_the_loss_is_the_planners_own(cotrained, planner, labels, tmp_path):
    task = cotrained.open_co_training(labels, tmp_path)
    samples = [task.sample(np.random.default_rng(i)) for i in range(3)]
    batch = type(samples[0]).stack(samples)
    model = HamsterNanoForConditionalGeneration.from_pretrained(planner)
    with torch.no_grad():
        pixels = batch.pixels.permute(0, 3, 1, 2) / 127.5 - 1
        logits = model.read_blocks(pixels, batch.sequence[:, None]).logits[:, 0]
        expected = answer_loss(logits[:, :-1], batch.labels[:, 1:])
        assert torch.allclose(cotrained.path_loss(batch), expected, atol=1e-5)


def test_an_answer_says_the_path(cotrained, labels, tmp_path):
    task = cotrained.open_co_training(labels, tmp_path)
    sample = task.sample(np.random.default_rng(0))
    answer = sample.labels[sample.labels >= 0].tolist()
    assert answer[0] == tokens.ANS and answer[-1] == tokens.END and len(answer) >= 4
    assert (sample.labels[sample.labels >= 0] == sample.sequence[sample.labels >= 0]).all()
    assert cotrained.tokenizer.decode(sample.sequence[sample.labels < 0].tolist()).split()[0] in ("pick_place", "press")
    assert PathTask.open(labels, tmp_path, cotrained.tokenizer, 64).rgb.shape == task.rgb.shape


def test_what_does_not_fit_is_counted(cotrained, labels, tmp_path, capsys):
    whole = cotrained.open_co_training(labels, tmp_path / "whole")
    assert "left out" not in capsys.readouterr().err
    room = int(whole.length.max()) - 1
    fits = int((whole.length <= room).sum())
    assert 0 < fits < len(whole.length)
    assert len(PathTask.open(labels, tmp_path / "part", cotrained.tokenizer, room).length) == fits
    line = f"left out: {len(whole.length) - fits} of {len(whole.length)} instructions: empty, longer than {room} tokens"
    assert line in capsys.readouterr().err


def test_too_short_a_sequence_is_one_line(cotrained, labels, tmp_path):
    with pytest.raises(ValueError, match="has no image with a path"):
        PathTask.open(labels, tmp_path, cotrained.tokenizer, 3)


def test_samples_carry_a_path_and_the_type_passes_its_check(cotrained, planner, labels, tmp_path):
    config = debug(planner, 1)
    pack = load_packed_dataset(labels, config.actor, tmp_path / "pack", 1)
    samples = Samples(pack, config, cotrained, cotrained.open_co_training(labels, tmp_path / "co_training"))
    inputs, _ = samples[0, 0]
    again, _ = samples[0, 0]
    assert torch.equal(inputs.path.sequence, again.path.sequence) and torch.equal(inputs.path.pixels, again.path.pixels)
    check_actor(cotrained, samples)


def test_both_tasks_are_learned_and_the_checkpoint_acts(planner, labels, tmp_path):
    folders = [
        train_policy(debug(planner, 3), labels, tmp_path / name, tmp_path / "pack", co_training_dir=labels)
        for name in ("a", "b")
    ]
    one, same = (checkpoint.load(folder) for folder in folders)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert one.path_head is not None and json.loads((folders[0] / "config.json").read_text())["actor"]["co_training"]
    started = HamsterNanoForConditionalGeneration.from_pretrained(planner).answer
    assert not torch.equal(one.path_head.bins.weight, started.bins.weight)


def test_the_second_tasks_data_is_asked_for_and_only_then(planner, labels, tmp_path):
    with pytest.raises(ValueError, match="give its label set"):
        train_policy(debug(planner, 1), labels, tmp_path / "a")
    config = debug(planner, 1)
    plain = replace(config, actor=replace(config.actor, co_training=False))
    with pytest.raises(ValueError, match="has no second task"):
        train_policy(plain, labels, tmp_path / "b", co_training_dir=labels)
