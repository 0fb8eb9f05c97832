from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hamster import nano
from hamster.planner.nano_training import batches, corpus
from hamster.planner.nano_training.augment import NONE
from hamster.planner.nano_training.batches import Share
from hamster.planner.nano_training.losses import build_probes, height_loss, losses, presence_loss
from hamster.planner.nano_training.pictures import WeightedDataset
from tests.planner import drawn
from tests.policy import synthetic

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]}  # fmt: skip


def _learned(
    parts: list[WeightedDataset], images: np.ndarray, tmp_path
) -> tuple[dict[str, torch.Tensor], torch.nn.ModuleList]:
    tokenizer = nano.build_processor(*corpus.texts(parts)).tokenizer
    labels = corpus.load(parts, tmp_path / "cache", tokenizer)
    torch.manual_seed(0)
    model = nano.HamsterNanoForConditionalGeneration(nano.HamsterNanoConfig(vocab_size=len(tokenizer), **SMALL))
    probes = build_probes(model, torch.from_numpy(labels.object_words))
    found = losses(model, probes, batches.sample(labels, [Share(images)], 0, 4, 3, 0, NONE, "cpu"))
    torch.stack(list(found.values())).sum().backward()
    return found, probes


def test_episodes_alone_teach_paths_and_nothing_else(tmp_path) -> None:
    demos = WeightedDataset(synthetic.write(tmp_path / "demos", {"press": 2}, size=48))
    found, _ = _learned([demos], np.arange(4), tmp_path)
    assert float(found["answer"]) > 0.5 and not {"colour", "kind", "mention"} & set(found)


def test_pictures_whose_objects_nobody_named_are_not_taken_for_empty(tmp_path) -> None:
    images = WeightedDataset(drawn.write(tmp_path / "drawn", 6, seed=5, each=6))
    demos = WeightedDataset(synthetic.write(tmp_path / "demos", {"press": 2}, size=48))
    _, probes = _learned([images, demos], np.arange(6, 10), tmp_path)  # a batch of episodes only
    gradients = [float(p.grad.abs().max()) for probe in probes[:2] for p in probe.parameters() if p.grad is not None]
    assert max(gradients, default=0.0) == 0.0
    _, probes = _learned([images, demos], np.arange(4), tmp_path)
    assert max(float(p.grad.abs().max()) for p in probes[0].parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("heads", [0, 4])
def test_refusing_is_a_loss_of_its_own(tmp_path, heads) -> None:
    part = WeightedDataset(drawn.write(tmp_path / "drawn", 6, seed=5, each=6, absent=4))
    tokenizer = nano.build_processor(*corpus.texts([part])).tokenizer
    labels = corpus.load([part], tmp_path / "cache", tokenizer)
    torch.manual_seed(0)
    config = nano.HamsterNanoConfig(vocab_size=len(tokenizer), presence_heads=heads, **SMALL)
    model = nano.HamsterNanoForConditionalGeneration(config)
    batch = batches.sample(labels, [Share(np.arange(6))], 0, 6, 10, 0, NONE, "cpu")
    probes = build_probes(model, torch.from_numpy(labels.object_words))
    found = losses(model, probes, batch)["refusal"]
    found.backward()
    assert torch.isfinite(found) and float(found.detach()) > 0
    if heads:
        torch.testing.assert_close(presence_loss(model, probes, batch)["refusal"], found, atol=1e-4, rtol=1e-4)


def test_the_loss_of_height_vanishes_at_the_labels_and_ignores_what_is_unknown(tmp_path) -> None:
    part = WeightedDataset(drawn.write(tmp_path / "drawn", 6, seed=5, each=6, heights=True))
    tokenizer = nano.build_processor(*corpus.texts([part])).tokenizer
    labels = corpus.load([part], tmp_path / "cache", tokenizer)
    torch.manual_seed(0)
    model = nano.HamsterNanoForConditionalGeneration(nano.HamsterNanoConfig(len(tokenizer), height_size=8, **SMALL))
    assert model.height is not None
    batch = batches.sample(labels, [Share(np.arange(6))], 0, 3, 4, 0, NONE, "cpu")
    unknown = replace(batch, height_m=torch.full_like(batch.height_m, torch.nan))
    assert float(height_loss(model, nn.ModuleList(), unknown)["height"].detach()) == 0
    loss = height_loss(model, nn.ModuleList(), batch)["height"]
    loss.backward()
    trained = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {"height"} and float(loss.detach()) > 0.1
    model.height.forward = lambda *_: batch.height_m[batch.height_m.isfinite()]  # type: ignore[method-assign]
    assert float(height_loss(model, nn.ModuleList(), batch)["height"]) == 0
