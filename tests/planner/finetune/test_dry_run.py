import json
from dataclasses import replace

import pytest
from PIL import Image
from safetensors.torch import load_file

from hamster.cli import main
from hamster.planner.finetune.dry_run import show
from hamster.planner.finetune.memory import TYPICAL, estimate, needed, shape_of
from hamster.planner.finetune.model_loading import load_without_weights
from hamster.planner.finetune.presets import PRESETS
from hamster.planner.load_model import load_model
from hamster.planner.nano_training.pictures import WeightedDataset
from tests.planner.finetune import made
from tests.planner.tiny import tiny

CONFIG = PRESETS["debug-lora"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny("qwen3_vl", tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made.paths(tmp_path_factory.mktemp("data") / "paths", 6, absent=1)


def test_steps_tokens_memory_and_three_samples_are_told_and_no_weights_read(base, data, tmp_path, capsys):
    (bare := tmp_path / "bare").mkdir()
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            (bare / file.name).symlink_to(file)
    found = show(str(bare), replace(CONFIG, steps=None, epochs=2), [WeightedDataset(data)], tmp_path)
    assert (found["samples"], found["epoch"], found["steps"], found["accumulated"]) == (18, 15, 8, 2)
    assert found["tokens"]["min"] <= found["tokens"]["median"] <= found["tokens"]["max"]
    assert 0 < found["image_tokens"] < found["tokens"]["min"]
    assert [Image.open(example["picture"]).size for example in found["examples"]] == [(64, 64)] * 3
    told = capsys.readouterr().out
    assert "8 steps of 4 samples" in told and found["examples"][0]["completion"].split()[0] in told


def test_memory_is_counted_on_the_model_itself(base):
    weights = load_file(base / "model.safetensors")
    count = sum(tensor.numel() for tensor in weights.values())
    full = shape_of(load_without_weights(str(base), replace(CONFIG, method="full")))
    assert full.parameters == full.trained == count == load_model(base, "cpu")[0].num_parameters()
    memory = estimate(full, replace(CONFIG, method="full"), 300, 64)
    assert (memory.weights, memory.gradients, memory.optimiser) == (6 * count, 4 * count, 8 * count)
    shared = estimate(full, replace(CONFIG, method="full"), 300, 64, shards=8)
    assert shared.optimiser == count and shared.activations == memory.activations


def test_adapters_are_counted_and_need_less(base):
    small = shape_of(load_without_weights(str(base), CONFIG))
    assert small.trained < small.parameters / 10
    frozen = shape_of(load_without_weights(str(base), replace(CONFIG, train_vision=False)))
    assert frozen.trained < small.trained
    by = {adapt: needed(replace(PRESETS["lora"], method=adapt)) for adapt in ("full", "lora", "qlora")}
    assert all(by["qlora"][size] < by["lora"][size] < by["full"][size] / 3 for size in TYPICAL)


def test_a_frozen_encoder_does_not_learn(base):
    model = load_without_weights(str(base), replace(CONFIG, method="full", train_vision=False))
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learned and not any(".visual." in name for name in learned)


def test_the_command_line_explains_what_is_missing(base, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, vlm = ["train", "planner", "--data", str(data)], ["--config", "lora", "--model", str(base)]
    for extra, said in (
        (["--config", "lora"], "--config lora fine-tunes a model: give --model"),
        (["--config", "qlorra", "--model", str(base)], "Did you mean 'qlora'?"),
        (["--config", "nano", "--dry-run"], "--dry-run can be set where another model is fine-tuned"),
        (["--config", "lora", "--model", "nano"], "own recipe: --config finetune"),
        (["--config", "lora", "--model", "nowhere"], "no planner 'nowhere'"),
        ([*vlm, "--dialect", "qwen2.5-vl", "--dry-run"], "which qwen3_vl does not see"),
        (["--conditioners", "none"], "--conditioners: a policy's; a planner has none"),
    ):
        assert main([*given, *extra]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "train" / "planner" / "run.json").exists()


def test_a_run_folder_of_something_else_is_not_overwritten(base, data, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"run": {"model": "another"}}))
    from hamster.planner.finetune.run import fine_tune

    with pytest.raises(ValueError, match=r"holds another training \(model.name was not noted, is .* and \d+ more"):
        fine_tune(str(base), CONFIG, [WeightedDataset(data)], tmp_path)
