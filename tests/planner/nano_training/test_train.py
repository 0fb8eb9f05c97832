import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hamster.cli import main
from hamster.planner import load_planner
from hamster.planner.load import find_planner
from hamster.planner.nano_training import train
from hamster.planner.nano_training.config import PRESETS
from hamster.planner.nano_training.train import train_planner
from tests.modes import unusual
from tests.planner import drawn

STEPS = 6
TINY = replace(PRESETS["debug"], steps=STEPS, log_every=1, evaluate_every=3, evaluate_on=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.write(tmp_path_factory.mktemp("drawn"), 12, seed=7, each=5)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    train_planner(TINY, [data], out)
    return out


def _losses(out):
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def _told(out):
    return [(line["step"], line["answer"], line["mention"]) for line in _losses(out)]


def test_the_loss_falls(trained):
    losses = _losses(trained)
    assert len(losses) == STEPS and losses[-1]["answer"] < losses[0]["answer"] - 0.3


def test_a_killed_training_goes_on_as_if_nothing_had_happened(data, trained, tmp_path, monkeypatch):
    step = train._Run.train_step

    def dies_at_four(self):
        if self.step == 4:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(train._Run, "train_step", dies_at_four)
    with pytest.raises(KeyboardInterrupt):
        train_planner(replace(TINY, save_every_s=0.0), [data], tmp_path)
    monkeypatch.undo()
    train_planner(TINY, [data], tmp_path)
    assert _told(tmp_path) == _told(trained)


def test_a_finished_training_only_reports(data, trained):
    before = (trained / "train.jsonl").read_bytes()
    assert set(train_planner(TINY, [data], trained)) >= {"start", "end", "path"}
    assert (trained / "train.jsonl").read_bytes() == before


def test_ranges_of_states_and_attention_are_logged(trained):
    lines = [json.loads(line) for line in (trained / "ranges.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 5]
    for layer in (1, 2):
        assert all(0 < line[f"layer{layer}/norm"] < 100 and line[f"layer{layer}/sharp"] < 0.5 for line in lines)


def test_metrics_go_to_tensorboard_and_the_model_can_plan(trained):
    assert list((trained / "tensorboard").glob("events.*")) and unusual(trained) == []
    plan = load_planner(trained / "model").plan(np.asarray(Image.new("RGB", (50, 40), "grey")), "touch the red ball")
    assert 1 <= len(plan.path) <= 8 and 0 <= plan.path.score <= 1
    assert plan.path.height_m is not None and plan.path.depth_m is None


def test_the_command_line_changes_steps_batch_and_seed(data, trained, tmp_path, monkeypatch, capsys):
    """Tuning takes the bundled planner where no other is named; what the recipe has no use for is refused."""
    calls = []
    monkeypatch.setattr(train, "train_planner", lambda *arguments: calls.append(arguments))
    command = ["train", "planner", "--config", "finetune", "--data", str(data), "--out", str(tmp_path)]
    assert main([*command, "--steps", "4", "--batch", "2", "--seed", "5"]) == 0
    assert main([*command, "--model", str(trained / "model"), "--steps", "4"]) == 0
    (config, _, _, start, _), (_, _, _, other, _) = calls
    assert (config.steps, config.batch, config.seed) == (4, 2, 5) and start == find_planner("nano")
    assert other == trained / "model"
    assert main(["train", "planner", "--config", "nano", "--data", str(data), "--steps", "4"]) == 0
    assert calls[-1][3:] == (None, None)  # from nothing
    assert main(["train", "planner", "--config", "nano", "--data", str(data), "--tower", "nano", "--steps", "4"]) == 0
    assert calls[-1][3:] == (None, find_planner("nano"))
    assert main([*command, "--seconds", "90"]) == 0
    assert (calls[-1][0].steps, calls[-1][0].seconds) == (None, 90)
    assert main([*command, "--seconds", "90", "--steps", "4"]) == 2 and "one budget" in capsys.readouterr().err
    assert main([*command, "--steps", "0"]) == 2 and "must be >= 1" in capsys.readouterr().err
    assert (
        main([*command, "--lr", "1"]) == 2
        and "takes --steps or --seconds, --batch and --seed" in capsys.readouterr().err
    )


def test_a_budget_is_needed(data, tmp_path):
    for budget in ({"steps": None}, {"seconds": 3.0}):
        with pytest.raises(ValueError, match="either steps or seconds"):
            train_planner(replace(TINY, **budget), [data], tmp_path)


def test_fine_tuning_changes_no_trained_module(data, trained, tmp_path):
    for name, value in {"word_vector_size": 0, "hidden_size": 64, "presence_heads": 8}.items():
        config = replace(TINY, model={**TINY.model, name: value})
        with pytest.raises(ValueError, match=rf"was trained with {name} .* may only add presence_heads or height_size"):
            train_planner(config, [data], tmp_path / name, trained / "model")


def test_a_new_planner_starts_with_a_trained_tower(data, trained, tmp_path):
    still = replace(TINY, steps=1, muon_lr=0.0, adamw_lr=0.0)
    train_planner(still, [data], tmp_path / "new", tower=trained / "model")
    before, after = (load_file(out / "model" / "model.safetensors") for out in (trained, tmp_path / "new"))
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("tower."))
    assert not torch.equal(after["layers.0.query.weight"], before["layers.0.query.weight"])
    with pytest.raises(ValueError, match="tower"):  # a training with another beginning
        train_planner(still, [data], tmp_path / "new")


def test_a_tower_of_other_sizes_or_beside_a_start_is_refused(data, trained, tmp_path):
    wide = replace(TINY, model={**TINY.model, "tower_channels": [8, 16, 48]})
    with pytest.raises(ValueError, match=r"the tower of .* has .*: other sizes"):
        train_planner(wide, [data], tmp_path / "wide", tower=trained / "model")
    with pytest.raises(ValueError, match="has a tower already"):
        train_planner(TINY, [data], tmp_path / "both", start=trained / "model", tower=trained / "model")


def test_one_module_at_most_is_trained_alone():
    with pytest.raises(ValueError, match="either presence_only or height_only"):
        replace(TINY, presence_only=True, height_only=True)


def test_the_learning_rate_rises_stays_and_falls():
    config = replace(TINY, warmup=0.1, decay=0.5)
    rates = [train._rate(p, config) for p in (0, 0.05, 0.1, 0.5, 0.75, 1)]
    assert rates[0] < rates[1] < rates[2] == pytest.approx(rates[3]) and rates[3:] == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize(
    ("name", "config", "loss"), [("presence", "refusal", "refusal"), ("height", "height", "height")]
)
def test_one_module_alone_is_trained_and_paths_stay_as_they_are(trained, tmp_path, name, config, loss):
    data = drawn.write(tmp_path / "drawn", 12, seed=3, each=5, absent=4, heights=True)
    config = replace(PRESETS[config], steps=40, batch=6, each=8, log_every=10, evaluate_every=40, evaluate_on=8)
    config = replace(config, model=TINY.model, adamw_lr=1e-2)
    scores = train_planner(config, [data], tmp_path / "out", trained / "model")
    assert 0 <= scores["refused"] <= 1 and 0 <= scores["falsely_refused"] <= 1 and scores["height_error_m"] > 0
    losses = [json.loads(line)[loss] for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] - 0.1
    before, after = (load_file(folder / "model.safetensors") for folder in (trained / "model", tmp_path / "out/model"))
    changed = {weight for weight in before if not torch.equal(before[weight], after[weight])}
    assert changed and all(weight.startswith(f"{name}.") for weight in changed)
