"""Real architectures learn, survive `kill -9`, are merged, saved, loaded and asked; several processes are as one."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hamster.path import Path2D, PlanError
from hamster.planner import load_planner
from hamster.planner.finetune.presets import PRESETS
from hamster.planner.finetune.run import _about, fine_tune
from hamster.planner.load_model import load_model
from hamster.planner.nano_training.pictures import WeightedDataset
from tests.modes import unusual
from tests.planner.finetune import made
from tests.planner.finetune.processes import FSDP2, together
from tests.planner.tiny import TYPES, tiny

pytestmark = pytest.mark.slow

CONFIG = replace(PRESETS["debug-lora"], steps=3, save_every=1, eval_every=3, eval_samples=2)
ALL = [(kind, adapt) for kind in TYPES for adapt in ("lora", "full")]
SOME = [("smolvlm", "lora"), ("qwen2_5_vl", "full")]
CASES = ALL if os.environ.get("HAMSTER_FINETUNE") else SOME
CLOSE = 1e-5  # of a loss, in float32: sums are taken in another order


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [
        WeightedDataset(made.paths(folder / "paths", 6, absent=1)),
        WeightedDataset(made.talks(folder / "talks", 4, bare=False), 0.5),
    ]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """From (kind, adapt) to (base, config, out) of a training that nothing interrupted."""
    done = {}

    def once(kind, adapt):
        if (kind, adapt) not in done:
            folder = tmp_path_factory.mktemp(f"{kind}-{adapt}")
            base, config = str(tiny(kind, folder / "base")), replace(CONFIG, method=adapt)
            fine_tune(base, config, data, folder / "out", "compact")
            done[kind, adapt] = base, config, folder / "out"
        return done[kind, adapt]

    return once


def _steps(out):
    """(step, loss, norm of the gradient) as logged."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["grad_norm"]) for line in lines if "loss" in line]


@pytest.mark.parametrize(("kind", "adapt"), CASES)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(kind, adapt, trained, data, tmp_path):
    base, config, out = trained(kind, adapt)
    training = base, config, data, tmp_path, "compact"
    assert together(1, *training, killed_at=3) == [-9]
    assert not (tmp_path / "model").exists() and (tmp_path / "state" / "checkpoint-2" / "whole").is_file()
    (tmp_path / "state" / "checkpoint-9").mkdir()  # a kill while it was written
    fine_tune(*training)
    assert _steps(tmp_path) == _steps(out) and [step for step, *_ in _steps(out)] == [1, 2, 3]
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (tmp_path, out))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(("kind", "adapt"), CASES)
def test_what_was_learned_is_saved_loaded_and_asked(kind, adapt, trained):
    base, _, out = trained(kind, adapt)
    before, after = (load_model(folder, "cpu")[0].state_dict() for folder in (base, out / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("language_model" in name or "text_model" in name for name in changed)
    assert any("vis" in name for name in changed)  # vision encoder too
    assert json.loads((out / "model" / "hamster.json").read_text())["dialect"] == "compact"
    planner = load_planner(out / "model", device="cpu", max_new_tokens=16)
    try:
        path = planner.plan(Image.new("RGB", (64, 64), "grey"), "pick up the red block").path
        assert isinstance(path, Path2D)
    except PlanError as refused:
        assert "not in view" in str(refused) + refused.raw_text
    assert not list(out.glob("model/*.bin")) and not list(out.glob("model/*.p*t*"))


@pytest.mark.parametrize(("kind", "adapt"), CASES[:1] if CASES is SOME else ALL)
def test_adapters_are_merged_exactly(kind, adapt, trained):
    if adapt == "full":
        pytest.skip("nothing to merge")
    from peft import PeftModel

    base, _, out = trained(kind, adapt)
    beside = PeftModel.from_pretrained(load_model(base, "cpu")[0], out / "adapter")
    within, processor = load_model(out / "model", "cpu")
    talk = [{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (64, 64))}, _text("go")]}]
    inputs = processor.apply_chat_template([talk], tokenize=True, return_dict=True, return_tensors="pt")
    inputs.pop("labels", None)
    with torch.no_grad():
        one, two = (model(**inputs).logits for model in (beside, within))
    assert (one - two).abs().max() < 1e-4 * one.abs().max()


def _text(text):
    return {"type": "text", "text": text}


def test_card_metrics_pictures_and_provenance_are_there(trained, data):
    _, _, out = trained("smolvlm", "lora")
    card = (out / "model" / "README.md").read_text()
    for said in ("base_model:", "paths", "talks", "CC0-1.0", "not stated", "parse_rate", "commit", "compact"):
        assert said in card
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"loss", "parse_rate", "refused", "falsely_refused"} <= set(metrics) and metrics["n"] >= 1
    assert Image.open(out / "pictures" / "step-000003.png").size[0] > 200
    run = json.loads((out / "run.json").read_text())
    assert run["seed"] == 0 and "trl" in run["versions"] and list((out / "tensorboard").glob("events*"))
    assert unusual(out) == []


def test_a_finished_training_only_reports_and_another_is_not_mixed_up_with_it(trained, data):
    base, config, out = trained("smolvlm", "lora")
    before = (out / "log.jsonl").read_bytes()
    assert fine_tune(base, config, data, out, "compact") == json.loads((out / "metrics.json").read_text())
    assert (out / "log.jsonl").read_bytes() == before
    with pytest.raises(ValueError, match=r"holds another training \(config\.lr was "):
        fine_tune(base, replace(config, learning_rate=1.0), data, out, "compact")
    with pytest.raises(
        ValueError, match=r"holds another training \(dialect was compact, is hamster, data .* is not noted\)"
    ):
        fine_tune(base, config, data[:1], out, "hamster")


@pytest.mark.parametrize("adapt", ["full", "lora"])
@pytest.mark.parametrize("env", [{}, FSDP2], ids=["ddp", "fsdp2"])
def test_two_processes_learn_what_one_does(env, adapt, trained, data, tmp_path):
    """Same losses, same norms of gradients, same model, to the rounding of float32."""
    if not os.environ.get("HAMSTER_FINETUNE") and adapt == "lora":
        pytest.skip("make test-finetune")
    base, config, out = trained("qwen2_5_vl", adapt)
    config = replace(config, micro_batch_size=1)  # two of them accumulated in each process
    assert together(2, base, config, data, tmp_path, "compact", env=env) == [0, 0]
    assert np.abs(np.array(_steps(tmp_path)) / _steps(out) - 1).max() < CLOSE
    sharded = list(tmp_path.glob("state/checkpoint-3/pytorch_model_fsdp_0/*.distcp"))
    assert len(sharded) == (2 if env else 0)
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (tmp_path, out))
    assert ours.keys() == theirs.keys()
    assert max((ours[name] - theirs[name]).abs().max() for name in theirs) < 2 * config.learning_rate


@pytest.mark.parametrize(("kind", "adapt"), CASES if os.environ.get("HAMSTER_FINETUNE") else CASES[:1])
def test_activations_computed_again_and_batches_made_elsewhere_change_nothing(kind, adapt, trained, data, tmp_path):
    base, config, out = trained(kind, adapt)
    config = replace(config, gradient_checkpointing=True, dataloader_workers=1)
    assert together(1, base, config, data, tmp_path, "compact") == [0]
    assert np.abs(np.array(_steps(tmp_path)) / _steps(out) - 1).max() < CLOSE


@pytest.mark.skipif(not os.environ.get("HAMSTER_FINETUNE"), reason="make test-finetune")
@pytest.mark.parametrize("env", [{}, FSDP2], ids=["ddp", "fsdp2"])
def test_several_processes_go_on_after_a_kill_too(env, trained, data, tmp_path):
    base, config, _ = trained("qwen2_5_vl", "full")
    config = replace(config, micro_batch_size=1)
    whole, killed = ((base, config, data, tmp_path / name, "compact") for name in ("whole", "killed"))
    assert together(2, *whole, env=env) == [0, 0]
    assert together(2, *killed, env=env, killed_at=3) == [-9, -9]
    assert together(2, *killed, env=env) == [0, 0]
    assert _steps(tmp_path / "killed") == _steps(tmp_path / "whole")


def test_a_batch_that_cannot_be_divided_is_refused(trained, data, tmp_path):
    base, config, _ = trained("smolvlm", "lora")
    with pytest.raises(ValueError, match="a batch of 4 cannot be divided among 1 process"):
        fine_tune(base, replace(config, micro_batch_size=3), data, tmp_path)


def test_four_bits_need_a_gpu(trained, data, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match="qlora needs a GPU"):
        fine_tune("anything", replace(CONFIG, method="qlora"), data, tmp_path)


def test_run_json_keeps_the_names_by_which_an_earlier_versions_run_is_resumed(data, tmp_path):
    base = str(tiny("smolvlm", tmp_path / "base"))
    names = {name for name in _about(base, CONFIG, data, None) if name.startswith("config.")}
    assert names == {f"config.{name}" for name in (
        "adapt", "vision", "batch", "epochs", "steps", "lr", "warmup", "weight_decay", "clip", "rank", "alpha",
        "dropout", "checkpointing", "frames", "held_out", "gripper", "seed",
    )}  # fmt: skip
