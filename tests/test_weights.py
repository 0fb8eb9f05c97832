"""Checkpoints that are cut, misshapen, absurd or not finite are one line that names the file; nothing is allocated."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import AdamW

from hamster import training_state
from hamster.inspect_checkpoint import inspect_checkpoint
from hamster.planner import load_planner
from hamster.planner.load import BUNDLED
from hamster.policy import checkpoint, load_policy
from hamster.policy.registry import build_actor
from hamster.policy.training.presets import PRESETS
from hamster.weights import check_finite


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    torch.manual_seed(0)
    checkpoint.save(folder, build_actor(PRESETS["debug"].actor))
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def refused(load, *arguments) -> str:
    with pytest.raises(ValueError) as error:  # what it says is looked at
        load(*arguments)
    said = str(error.value)
    assert "\n" not in said and len(said) < 700
    return said


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.003, 0.5, 0.999])
def test_a_cut_file_of_weights_is_named(share, folder):
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    for load in (load_policy, inspect_checkpoint):
        assert str(file) in refused(load, folder)


@pytest.mark.parametrize("data", [b"\0" * 100, b"\xff" * 100, b"{}" * 50, b"PK\3\4" + b"x" * 99])
def test_another_kind_of_file_is_named(data, folder):
    (folder / "model.safetensors").write_bytes(data)
    assert "model.safetensors is damaged" in refused(load_policy, folder)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    assert "model.safetensors is missing" in refused(load_policy, folder)
    (folder / "model.safetensors").mkdir()
    assert "model.safetensors is damaged" in refused(load_policy, folder)


def _changed(folder, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors, next(name for name, tensor in tensors.items() if tensor.dim() == 2))
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors, name: tensors.update({name: tensors[name][:-1].clone()}), "has shape"),
        (lambda tensors, name: tensors.update({name: tensors[name].long()}), "holds int64 where float32"),
        (lambda tensors, name: tensors.update({name: tensors[name].to(torch.complex64)}), "holds complex64"),
        (lambda tensors, name: tensors.update({"more": torch.zeros(3)}), "left over more"),
        (lambda tensors, name: tensors.pop(name), "lacking"),
        (lambda tensors, name: tensors[name].view(-1)[3:4].fill_(float("nan")), "no finite numbers"),
        (lambda tensors, name: tensors[name].view(-1)[3:4].fill_(float("-inf")), "no finite numbers"),
        (lambda tensors, name: tensors.update({name: tensors[name].double().fill_(1e300)}), "no finite numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, said, folder):
    _changed(folder, change)
    assert said in refused(load_policy, folder)


def test_weights_in_other_floating_point_formats_are_taken(folder, whole):
    tensors = {name: value.to(torch.float16) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    assert {weight.dtype for weight in load_policy(folder).actor.parameters()} == {torch.float32}


@pytest.mark.parametrize("text", ["[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000])
def test_a_configuration_nested_ten_thousand_deep_is_a_line(text, folder):
    (folder / "config.json").write_text(text)
    for load in (load_policy, inspect_checkpoint, load_planner):
        assert "config.json" in refused(load, folder)


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{", '"text"', "\xff", '{"actor": 5, "family": "flow"}'])
def test_a_file_that_is_no_configuration_is_a_line(text, folder):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    for load in (load_policy, inspect_checkpoint):
        refused(load, folder)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 10**12},
        {"width": 1 << 16, "heads": 1 << 13},
        {"encoder_layers": 1 << 16},
        {"encoder_layers": 10**400},
        {"width": -8},
        {"width": 0, "heads": 1},
        {"heads": 0},
        {"width": "128"},
        {"width": 128.5},
        {"width": True},
        {"width": None},
        {"width": [128]},
        {"cameras": "front"},
        {"cameras": [1]},
        {"cameras": []},
        {"conditioners": ["nonsense"]},
        {"head": "nonsense"},
        {"schedule": {"a": 1}},
        {"position_scale_m": float("nan")},
        {"position_scale_m": float("inf")},
        {"step_s": "soon"},
        {"unheard_of": 1},
    ],
)
def test_an_absurd_configuration_is_a_line_and_allocates_nothing(change, folder):
    record = json.loads((folder / "config.json").read_text())
    record["actor"].update(change)
    (folder / "config.json").write_text(json.dumps(record))
    assert "config.json" in refused(load_policy, folder)


@pytest.fixture
def nano(tmp_path):
    return shutil.copytree(BUNDLED / "nano", tmp_path / "nano")


def test_half_a_planner_is_a_line(nano):
    file = nano / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert str(file) in refused(load_planner, nano)


def test_a_planner_that_lacks_weights_is_not_filled_up_with_random_ones(nano):
    tensors = load_file(nano / "model.safetensors")
    tensors.pop(sorted(tensors)[5])
    save_file(tensors, nano / "model.safetensors", {"format": "pt"})
    assert "lacks 1 weights" in refused(load_planner, nano)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 1 << 40},
        {"num_hidden_layers": 1 << 30},
        {"hidden_size": "wide"},
        {"hidden_size": None},
        {"num_attention_heads": 0},
        {"model_type": "nonsense"},
        {"model_type": ["llava"]},
        {"vocab_size": 1 << 50},
    ],
)
def test_an_absurd_planner_is_a_line_and_allocates_nothing(change, nano):
    record = json.loads((nano / "config.json").read_text())
    (nano / "config.json").write_text(json.dumps(record | change))
    refused(load_planner, nano)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "processor_config.json"])
@pytest.mark.parametrize("text", ["{", "[" * 10_000, "[]"])
def test_a_damaged_processor_is_a_line(name, text, nano):
    if not (nano / name).exists():
        pytest.skip("this checkpoint has none")
    (nano / name).write_text(text)
    refused(load_planner, nano)


def test_large_finite_numbers_are_finite():
    check_finite({"w": torch.full((1000,), 3e38), "h": torch.full((1000,), 6e4, dtype=torch.float16)}, "here")


class Training:
    def __init__(self, folder):
        self.file = folder / "state.safetensors"
        self.modules = {"model": nn.Linear(3, 2)}
        self.optimisers = {"adamw": AdamW(self.modules["model"].parameters())}

    def save(self):
        self.modules["model"](torch.ones(3)).sum().backward()
        self.optimisers["adamw"].step()
        training_state.save(self.file, self.modules, self.optimisers, {"step": 7})

    def load(self):
        return training_state.load(self.file, self.modules, self.optimisers, needs=("step",))


def test_a_whole_state_is_restored(tmp_path):
    first, second = Training(tmp_path), Training(tmp_path)
    first.save()
    assert second.load() == {"step": 7}
    assert torch.equal(first.modules["model"].weight, second.modules["model"].weight)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_cut_state_says_what_is_lost_and_what_is_not(share, tmp_path, whole):
    training = Training(tmp_path)
    training.save()
    data = training.file.read_bytes()
    training.file.write_bytes(data[: int(share * len(data))])
    said = refused(training.load)
    assert str(training.file) in said and "lost" in said and "remove state.safetensors" in said
    shutil.copy(whole / "model.safetensors", tmp_path)
    assert f"the last save are whole, in {tmp_path}" in refused(training.load)


def test_a_state_of_another_network_or_without_facts_is_a_line(tmp_path):
    training = Training(tmp_path)
    training.save()
    training.modules["model"] = nn.Linear(4, 2)
    assert "has shape" in refused(training.load)
    save_file({"model/weight": torch.zeros(2, 3)}, training.file)
    assert "lost" in refused(training.load)
    save_file({"model/weight": torch.zeros(2, 3)}, training.file, {"facts": "[" * 10_000})
    assert "lost" in refused(training.load)
