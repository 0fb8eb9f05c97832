"""Weights of 4 bits are guarded as others are; what packs them needs a GPU, so a stand-in loads them here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import transformers
from safetensors.torch import load_file, save_file

from hamster.planner.finetune.model_loading import load_for_training
from hamster.planner.finetune.presets import FinetuneConfig
from tests.planner.tiny import tiny

QLORA = replace(FinetuneConfig(), method="qlora")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny("smolvlm", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(original, tmp_path, monkeypatch):
    """A folder of a tiny model, loaded without bitsandbytes and on the CPU; what was to be packed is noted."""
    for file in original.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    auto, options = transformers.AutoModelForImageTextToText, {}
    real = auto.from_pretrained

    def stand_in(name, quantization_config, device_map, **more):
        options.update(four_bits=quantization_config.load_in_4bit, device_map=device_map)
        return real(name, **more)

    monkeypatch.setattr(auto, "from_pretrained", stand_in)
    monkeypatch.setenv("LOCAL_RANK", "3")
    return tmp_path, options


def change(folder, how):
    weights = load_file(folder / "model.safetensors")
    how(weights, sorted(weights)[len(weights) // 2])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_a_whole_model_is_packed_on_its_own_gpu(model):
    folder, options = model
    loaded, processor = load_for_training(str(folder), QLORA)
    assert options["four_bits"] and options["device_map"] == {"": 3}
    assert loaded.num_parameters() > 0 and processor.chat_template


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_before_they_are_packed(model, value):
    folder, options = model

    def spoil(weights, name):
        weights[name] = weights[name].clone()
        weights[name].view(-1)[5] = value

    change(folder, spoil)
    with pytest.raises(ValueError, match="no finite numbers") as caught:
        load_for_training(str(folder), QLORA)
    assert not options and "\n" not in str(caught.value)


def test_missing_weights_are_refused(model):
    folder, _ = model
    change(folder, lambda weights, name: weights.pop(name))
    with pytest.raises(ValueError, match="lacks 1 weights"):
        load_for_training(str(folder), QLORA)


def test_a_configuration_far_larger_than_its_weights_is_refused(model):
    folder, _ = model
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 1 << 34
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="far larger than its weights"):
        load_for_training(str(folder), QLORA)


def test_a_cut_file_and_a_missing_model_are_one_line(model):
    folder, _ = model
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for name in (folder, folder / "gone"):
        with pytest.raises(ValueError) as caught:
            load_for_training(str(name), QLORA)
        assert "\n" not in str(caught.value)
