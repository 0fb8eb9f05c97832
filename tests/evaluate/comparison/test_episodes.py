from __future__ import annotations

import json

import pytest

from hamster.evaluate.comparison.episodes import Folder, read_runs
from tests.evaluate.comparison.synthetic import write_folder


@pytest.mark.parametrize("text", ["=out", "a@=out", "a@x=out", "a@-1=out", "@1=out"])
def test_a_folder_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="ARM@SEED=DIR"):
        Folder.parse(text)


def test_an_arm_without_a_name_is_called_by_policy_and_condition(tmp_path):
    runs = read_runs([Folder(write_folder(tmp_path, "basic", [1, 0], "oracle", "outputs/train/policy"))])
    assert list(runs) == ["policy, oracle"] and len(runs["policy, oracle"][0].records["basic"]) == 2


def test_the_suite_of_all_axes_and_those_of_single_ones_are_the_same_axes(tmp_path):
    write_folder(tmp_path, "basic", [1, 0, 1])
    identity = json.loads((tmp_path / "conditions.json").read_text())
    (tmp_path / "conditions.json").write_text(json.dumps(identity | {"suite": "axes"}))
    file = tmp_path / "rollouts.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [json.dumps(record | {"family": f"visual/{record['family']}"}) for record in records]
    file.write_text("\n".join(lines))
    assert list(read_runs([Folder(tmp_path, "a")])["a"][0].records) == ["visual"]


def test_two_trainings_under_one_name_are_refused(tmp_path):
    folders = [Folder(write_folder(tmp_path / str(i), "basic", [1, 0]), "a") for i in range(2)]
    with pytest.raises(ValueError, match="tell them apart as ARM@SEED=DIR"):
        read_runs(folders)


def test_a_folder_without_episodes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no episodes in"):
        read_runs([Folder(tmp_path)])


@pytest.mark.parametrize("change", [{"success": "yes"}, {"seed": None}, {"metrics": []}, {"outcome": "env_error"}])
def test_a_damaged_record_is_refused_by_name(tmp_path, change):
    write_folder(tmp_path, "basic", [1])
    record = json.loads((tmp_path / "rollouts.jsonl").read_text()) | change
    (tmp_path / "rollouts.jsonl").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"rollouts.jsonl: .*0000-nano"):
        read_runs([Folder(tmp_path)])
