"""A checkpoint or dataset may be named as on the Hugging Face Hub; nothing here needs the network."""

from pathlib import Path

import numpy as np
import pytest

from hamster.cli.app import main
from hamster.data.registry import open_source
from hamster.hub import HubId, fetch
from hamster.planner.identity import planner_identity
from hamster.planner.load import BUNDLED, load_planner, resolve_checkpoint
from hamster.planner.prompts import load_prompt_config
from hamster.policy import bundled_policies, find_policy
from tests.data.lerobot_files import write_dataset
from tests.local_hub import COMMIT, local_hub


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture
def hub(folder, monkeypatch):
    write_dataset(folder / "robot", "v3.0")
    (folder / "robot" / "weights.bin").write_bytes(b"not of a model")
    (folder / "labels").mkdir()
    (folder / "labels" / "manifest.json").write_text("{}")
    repositories = {
        "models/me/policy": next(iter(bundled_policies().values())),
        "models/me/planner": BUNDLED / "nano",
        "models/me/mixed": folder / "robot",
        "datasets/me/robot": folder / "robot",
        "datasets/me/labels": folder / "labels",
    }
    with local_hub(repositories) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lerobot/pusht", HubId("lerobot/pusht")),
        ("lerobot/pusht@v3.0", HubId("lerobot/pusht", "v3.0")),
        ("a/b@refs/pr/1", HubId("a/b", "refs/pr/1")),
        ("nano", None),
        ("./a/b", None),
        ("a/b/c", None),
        ("../b", None),
        ("/a/b", None),
        ("a/b@", None),
        ("http://a/b", None),
    ],
)
def test_what_is_a_hub_id(text, expected):
    assert HubId.parse(text) == expected
    assert expected is None or str(expected) == text


def test_a_folder_that_exists_is_no_hub_id(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("me/policy").mkdir(parents=True)
    assert HubId.parse("me/policy") is None


def test_a_policy_and_a_planner_are_fetched(hub):
    found = find_policy("me/policy")
    assert found.name == COMMIT and (found / "config.json").is_file() and (found / "model.safetensors").is_file()
    assert resolve_checkpoint("me/planner@v1").endswith(COMMIT)
    assert planner_identity("me/planner")["revision"] == COMMIT
    assert load_prompt_config("me/planner@v1", "hamster_nano").dialect.startswith("nano")
    assert load_planner("me/planner@v1", device="cpu").plan(np.zeros((64, 64, 3), np.uint8) + 99, "go").path


def test_of_a_model_nothing_is_fetched_that_is_neither_weights_nor_configuration(hub):
    assert not (fetch(HubId("me/mixed"), "model") / "weights.bin").exists()


def test_a_dataset_is_opened_and_a_label_set_is_found(hub, folder, capsys):
    assert len(open_source("lerobot:me/robot")) > 0
    assert main(["train", "policy", "--data", "me/labels", "--out", str(folder / "out")]) == 2
    assert "manifest" in capsys.readouterr().err  # it is read, and found wanting


def test_without_a_connection_the_cached_copy_serves(hub, monkeypatch):
    fetch(HubId("me/labels"), "dataset")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert (fetch(HubId("me/labels"), "dataset") / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("me/nothing", "no folder and no model 'me/nothing' on http"),
        ("me/policy@v9", "the model me/policy has no revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub, name, words):
    with pytest.raises(ValueError, match=words):
        find_policy(name)


@pytest.mark.parametrize("command", [["plan", "docs/images/table.png", "a", "--planner"], ["info"]])
def test_offline_is_one_line(folder, monkeypatch, capsys, command):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main([*command, "me/policy"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "'me/policy'" in line and "cannot be asked" in line, line


def test_a_label_set_that_is_nowhere_names_the_command_that_makes_one(folder, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["train", "policy", "--data", "labels/mine"]) == 2
    line = capsys.readouterr().err
    assert "no label set in labels/mine; make one: hamster label" in line, line
