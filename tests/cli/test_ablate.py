"""What `hamster ablate` says it would do, and what `hamster train policy` makes of a configuration."""

from __future__ import annotations

import pytest

from hamster.cli import main
from hamster.policy.training.presets import preset


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "manifest.json").write_text("{}")
    return tmp_path / "labels"


def say(capsys, *argv: object) -> str:
    assert main(["ablate", "--dry-run", "--workers", "2", *map(str, argv)]) == 0
    return capsys.readouterr().out


def fails(capsys, *argv: object) -> str:
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_dry_run_lists_trainings_and_evaluations(capsys, labels, tmp_path):
    how = ["--train", "--config", "debug", "--conditioners", "default,none", "--demonstrations", "0.5,1.0"]
    text = say(capsys, *how, "--data", labels, "--policies", "nano", "--episodes", 10, "--out", tmp_path / "out")
    for name in ("debug-tokens+foveas-50", "debug-tokens+foveas-100", "debug-none-50", "debug-none-100"):
        assert f"train {name}: about" in text
    assert "evaluate nano-training, 40 episodes" in text and "evaluate nano-counterfactual, 60 episodes" in text
    assert "evaluate debug-none-50-moved, 10 episodes" in text and "in all about" in text
    assert not (tmp_path / "out").exists()


def test_without_train_nothing_is_trained(capsys, tmp_path):
    text = say(capsys, "--policies", "nano", "--cameras", "moved", "--counterfactual", 0, "--out", tmp_path / "out")
    assert "train " not in text and text.count("evaluate") == 1


def test_mistakes_are_one_line(capsys, labels, tmp_path):
    assert "at least one" in fails(capsys, "ablate", "--out", tmp_path)
    assert "'no'" in fails(capsys, "ablate", "--train", "--demonstrations", "no", "--data", labels, "--out", tmp_path)
    assert "hamster label" in fails(capsys, "ablate", "--train", "--config", "debug", "--conditioners", "default",
                                    "--data", tmp_path / "gone", "--out", tmp_path)  # fmt: skip
    assert "a share in" in fails(capsys, "train", "policy", "--demonstrations", "2", "--data", labels)
    assert "steps must be" in fails(capsys, "train", "policy", "--steps", "0", "--data", labels)
    assert "a planner has none" in fails(capsys, "train", "planner", "--demonstrations", "0.5", "--data", labels)
    assert "hamster-labels/2" in fails(capsys, "train", "planner", "--steps", "5", "--data", labels)


def test_options_change_the_configuration_and_nothing_else(monkeypatch, labels, tmp_path):
    seen = []
    monkeypatch.setattr("hamster.policy.training.train.train_policy", lambda *args, **options: seen.append(args))
    options = ["--conditioners", "tokens", "--demonstrations", "0.5", "--steps", "7", "--seed", "3"]
    assert (
        main(["train", "policy", "--config", "flow", "--data", str(labels), "--out", str(tmp_path / "o"), *options])
        == 0
    )
    assert main(["train", "policy", "--config", "flow", "--data", str(labels), "--out", str(tmp_path / "o")]) == 0
    (changed, *_), (plain, *_) = seen
    assert changed.actor.conditioners == ("tokens",) and changed.data_fraction == 0.5
    assert (changed.steps, changed.seed, changed.augment) == (7, 3, preset("flow").augment)
    assert plain == preset("flow")
