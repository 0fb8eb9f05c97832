"""What GR00T writes about its episodes: numbers of tasks in columns of their own, and meta/modality.json."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from hamster.data import Unreadable
from hamster.data.lerobot import LeRobot
from tests.data.lerobot_files import write_dataset

TASK = "annotation.human.action.task_description"
TASKS = ["", "pick up the cup", "reach for it", "lift it", "valid"]


def dataset(folder, columns, modality=None, declared=True):
    """One episode of 8 frames without words of its own, and a list of tasks as GR00T writes it."""
    write_dataset(folder, "v2.1", lengths=(8,), tasks=[""], extra=lambda n: columns)
    lines = [json.dumps({"task_index": i, "task": text}) for i, text in enumerate(TASKS)]
    (folder / "meta/tasks.jsonl").write_text("\n".join(lines) + "\n")
    info = json.loads((folder / "meta/info.json").read_text())
    if declared:
        for name, values in columns.items():
            dtype = "string" if isinstance(values[0], str) else "int64"
            info["features"][name] = {"dtype": dtype, "shape": [1], "names": None}
    (folder / "meta/info.json").write_text(json.dumps(info))
    if modality is not None:
        (folder / "meta/modality.json").write_text(json.dumps(modality))
    return LeRobot(folder)


@pytest.mark.parametrize("values", [[1] * 8, [[1]] * 8, [1.0] * 8, ["pick up the cup"] * 8])
@pytest.mark.parametrize("declared", [True, False])
def test_a_description_by_number_or_as_text_is_the_instruction(tmp_path, values, declared):
    modality = None if declared else {"annotation": {"human.action.task_description": {}, "human.validity": {}}}
    columns = {TASK: values, "annotation.human.validity": [4] * 8}
    source = dataset(tmp_path / "set", columns, modality, declared)
    assert source[0].instructions == ("pick up the cup",) and source[0].parts == ()


def test_what_changes_within_the_episode_names_its_parts(tmp_path):
    columns = {TASK: [1] * 8, "annotation.human.coarse_action": [2] * 5 + [3] * 3}
    episode = dataset(tmp_path / "set", columns)[0]
    assert episode.instructions == ("pick up the cup",)
    assert [(part.text, part.first, part.stop) for part in episode.parts] == [("reach for it", 0, 5), ("lift it", 5, 8)]


def test_modality_may_name_another_column(tmp_path):
    modality = {"annotation": {"human.task_description": {"original_key": "my_task"}}, "video": {}}
    assert dataset(tmp_path / "set", {"my_task": [1] * 8}, modality, False)[0].instructions == ("pick up the cup",)


def test_a_task_that_nobody_listed_and_a_damaged_description_are_said(tmp_path):
    assert "task 9 is not among" in dataset(tmp_path / "a", {TASK: [9] * 8})[0].reason
    assert f"{TASK} is 0.5" in dataset(tmp_path / "b", {TASK: [0.5] * 8})[0].reason
    source = dataset(tmp_path / "c", {TASK: [1] * 8})
    (source.folder / "meta/modality.json").write_text("{")
    assert isinstance(LeRobot(source.folder)[0], Unreadable)


def test_a_change_of_what_is_said_is_a_change_of_the_episode(tmp_path):
    source = dataset(tmp_path / "set", {TASK: [1] * 8}, {"annotation": {}})
    before = source.inputs(0)
    assert source.folder / "meta/modality.json" in before.files
    texts = (source.folder / "meta/tasks.jsonl").read_text().replace("the cup", "the mug")
    (source.folder / "meta/tasks.jsonl").write_text(texts)
    info = source.folder / "meta/info.json"
    info.write_text(info.read_text() + " ")
    again = LeRobot(source.folder)
    assert again.inputs(0).facts != before.facts and again[0].instructions == ("pick up the mug",)


def test_columns_that_say_nothing_of_the_task_are_no_instructions(tmp_path):
    columns = {"annotation.human.validity": [4] * 8, "annotation.human.action.score": [1] * 8}
    episode = dataset(tmp_path / "set", columns)[0]
    assert not any(text.strip() for text in episode.texts)
    table = pq.read_table(tmp_path / "set/data/chunk-000/episode_000000.parquet")
    assert np.all(table["annotation.human.validity"].to_numpy() == 4)
