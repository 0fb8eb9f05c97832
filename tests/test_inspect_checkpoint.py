import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hamster.cli import main
from hamster.inspect_checkpoint import inspect_checkpoint


def _policy(folder: Path) -> Path:
    config = {"family": "flow", "units": {"position": "metres"}, "actor": {"cameras": ["front"], "width": 8}}
    info = {
        "seed": 3,
        "git_commit": "abc",
        "seconds": 5.0,
        "train": {"steps": 7, "actor": {}, "augment": {"mirror": 0.5}},
    }
    info |= {"data": {"sources": ["tabletop:3"]}, "metrics": {"step": 7, "all": {"position_mm": 2.5}}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "train_info.json").write_text(json.dumps(info))
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)}, folder / "model.safetensors")
    save_file({"momentum": np.zeros(99, np.float32)}, folder / "state.safetensors")  # no part of the checkpoint
    return folder


def test_a_policy_says_what_it_is_and_where_it_comes_from(tmp_path: Path) -> None:
    about = inspect_checkpoint(_policy(tmp_path))
    assert about["policy"]["parameters"] == 17 and about["policy"]["stored_as"] == ["F16", "F32"]
    assert about["policy"]["cameras"] == ["front"] and about["architecture"] == {"width": 8}
    assert about["training"]["steps"] == 7 and about["augmentation"] == {"mirror_prob": 0.5}
    assert about["data"] == {"sources": ["tabletop:3"]} and about["units"] == {"position": "metres"}
    assert about["metrics"] == {"step": 7, "position_mm": 2.5} and about["provenance"]["git_commit"] == "abc"


def test_a_planner_within_a_policy_is_bytes_and_no_parameters(tmp_path: Path) -> None:
    tensors = {"a": np.zeros((3, 4), np.float32), "planner.weights": np.zeros(99, np.uint8)}
    save_file(tensors, _policy(tmp_path) / "model.safetensors")
    policy = inspect_checkpoint(tmp_path)["policy"]
    assert policy["parameters"] == 12 and policy["stored_as"] == ["F32"]


@pytest.mark.parametrize("kind", ["policy", "planner"])
def test_the_bundled_ones_are_described(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "nano", "--json"]) == 0
    found = {next(iter(about)): about for about in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found[kind][kind]["parameters"] > 100_000 and found[kind]["architecture"]


def test_for_people_there_is_a_line_per_fact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(_policy(tmp_path))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "policy" and "  family               flow" in lines and "  seed                 3" in lines


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", b"{", "not JSON"),
        ("config.json", b"[]", "no JSON object"),
        ("config.json", b"\xff\xfe", "not JSON"),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{", "damaged"),
        ("train_info.json", b"7", "no JSON object"),
    ],
)
def test_damage_is_named_in_one_line(
    tmp_path: Path, file: str, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (_policy(tmp_path) / file).write_bytes(content)
    assert main(["info", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error and file in error and error.count("\n") == 1


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path)]) == 2 and "nano" in capsys.readouterr().err
    (_policy(tmp_path) / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no weights"):
        inspect_checkpoint(tmp_path)
