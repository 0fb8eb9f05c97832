"""What a run is a run of."""

from __future__ import annotations

import os

import pytest

from hamster import identity
from hamster.identity import checkpoint_digest, claim, code_digests, differences, flat


def test_weights_of_the_same_size_and_date_are_other_weights(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"1" * 100)
    (tmp_path / "config.json").write_text("{}")
    before, facts = checkpoint_digest(tmp_path), file.stat()
    assert checkpoint_digest(tmp_path) == before
    file.write_bytes(b"0" * 100)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert checkpoint_digest(tmp_path) != before
    file.write_bytes(b"1" * 100)
    assert checkpoint_digest(tmp_path) == before


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "hamster.json", "tokenizer.json", "merges.txt"])
def test_all_that_a_model_is_loaded_from_counts(tmp_path, name):
    before = checkpoint_digest(tmp_path)
    (tmp_path / name).write_text("{}")
    assert checkpoint_digest(tmp_path) != before


@pytest.mark.parametrize("name", ["README.md", "state.safetensors", "train_info.json", "metrics.json", "run.json"])
def test_what_lies_beside_a_model_does_not(tmp_path, name):
    before = checkpoint_digest(tmp_path)
    (tmp_path / name).write_text("{}")
    assert checkpoint_digest(tmp_path) == before


def test_code_that_makes_results_counts_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "ROOT", tmp_path)

    def digests():
        identity._digest_of_code.cache_clear()
        return code_digests()

    empty = digests()
    for name in ("cli/eval.py", "serving/planner/app.py", "policy/training/train.py", "sim/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("new")
    assert digests() == empty
    (tmp_path / "sim" / "world.py").write_text("gravity = 9.81")
    scenes = digests()
    (tmp_path / "policy" / "path_prompt.py").write_text("speed = 2")
    models = digests()
    identity._digest_of_code.cache_clear()
    assert differences(empty, scenes).startswith("scene code was ") and "model code" not in differences(empty, scenes)
    assert differences(scenes, models).startswith("model code was ") and "scene code" not in differences(scenes, models)


def test_differences_are_named_in_short():
    assert differences({"seed": 1}, {"seed": 1}) == ""
    said = differences({"seed": 1, "weights": "a" * 64}, {"seed": 2, "weights": "b" * 64, "device": "cpu"})
    assert said == f"seed was 1, is 2, weights was {'a' * 12}, is {'b' * 12}, device was not noted, is cpu"


def test_a_training_is_continued_by_the_same_only(tmp_path):
    of = {"data": "a" * 64, **flat("config", {"lr": 0.1, "actor": {"width": 3}})}
    claim(tmp_path, of, False, {"seed": 0})
    claim(tmp_path, of, True, {})
    with pytest.raises(ValueError, match=r"holds another training \(data was a{12}, is b{12}\); name another --out"):
        claim(tmp_path, of | {"data": "b" * 64}, True, {})
    with pytest.raises(ValueError, match=r"config\.actor\.width was 3, is 4"):
        claim(tmp_path, of | {"config.actor.width": 4}, True, {})
    claim(tmp_path, of | {"data": "b" * 64}, False, {})  # nothing was trained yet
    (tmp_path / "run.json").unlink()
    with pytest.raises(ValueError, match="data was not noted"):
        claim(tmp_path, of, True, {})


def test_a_setting_that_came_later_was_its_default_before(tmp_path):
    claim(tmp_path, {"config.steps": 5}, False, {})
    now, defaults = {"config.steps": 5, "config.facts": 0}, {"config.steps": None, "config.facts": 0}
    with pytest.raises(ValueError, match=r"config\.facts was not noted, is 0"):
        claim(tmp_path, now, True, {})
    claim(tmp_path, now, True, {}, defaults)
    with pytest.raises(ValueError, match=r"config\.facts was 0, is 4"):
        claim(tmp_path, now | {"config.facts": 4}, True, {}, defaults)
