"""Instructions of a LeRobot episode: tasks, subtasks, and other annotations per frame.

| where | what |
|---|---|
| `task_index`, meta/tasks | what is done; if it changes within the episode, what is done in each part |
| `subtask_index`, meta/subtasks.parquet | what is done in each part |
| GR00T: `annotation.human.action.task_description`, `….coarse_action` … | a task's number or text, a phrasing each |
| text columns language_instruction, instruction, subtask … | the same, a phrasing a column |
| `language_persistent`, rows of style `task_aug` | other phrasings of the one task of the episode |
| `language_persistent`, rows of style `subtask` | what is done from their `timestamp` on, until the next one |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hamster.data.instructions import whole_and_parts
from hamster.data.lerobot.columns import numbers, read_table
from hamster.data.lerobot.metadata import DatasetMetadata, EpisodeEntry, file_inside, read_tasks
from hamster.data.records import Instruction

Array = NDArray[np.float64]
PERSISTENT = "language_persistent"
SUBTASKS = "subtasks.parquet"
_TEXTS = re.compile(r"(?:.*[._/])?(?:(?:natural_)?(?:language_)?instruction(?:_\d+)?|sub_?task)")


def read_words(
    dataset: DatasetMetadata, entry: EpisodeEntry, times_s: Array
) -> tuple[tuple[str, ...], tuple[Instruction, ...]]:
    """Return phrasings of the whole episode and, in order, instructions that hold for some of its frames only.

    Where frames have no annotation, the task is that in the list of episodes, or "".

    Args:
        dataset: to read from.
        entry: of the episode.
        times_s: (T,) of its frames, seconds.

    Raises:
        ValueError: if a task has no text, or a column cannot be read.
    """
    texts = [key for key, feature in dataset.features.items() if feature["dtype"] == "string" and _TEXTS.fullmatch(key)]
    file = file_inside(dataset.folder, entry.data)
    annotated = [column for column in dataset.annotations if column not in (*texts, "task_index")]
    table = read_table(file, ["task_index", "subtask_index", PERSISTENT, *texts, *annotated], entry.number)
    columns: list[Sequence[str]] = []
    if "task_index" in table.column_names and dataset.tasks:
        columns.append(_named(numbers(table, "task_index")[:, 0], dataset.tasks, "task"))
    subtasks = dataset.folder / "meta" / SUBTASKS
    if "subtask_index" in table.column_names and subtasks.is_file():
        columns.append(_named(numbers(table, "subtask_index")[:, 0], read_tasks(subtasks, "subtask_index"), "subtask"))
    for key in (*texts, *annotated):
        if key not in table.column_names:
            continue
        if key in texts or pa.types.is_string(table[key].type) or pa.types.is_large_string(table[key].type):
            columns.append([text if isinstance(text, str) else "" for text in table[key].to_pylist()])
        else:
            columns.append(_named(numbers(table, key)[:, 0], dataset.tasks, "task", key))
    rephrased = list[str]()
    if PERSISTENT in table.column_names:
        rows = table[PERSISTENT].slice(0, 1).to_pylist()[0]
        columns.append(_subtasks(rows, times_s))
        rephrased = _texts_of(rows, "task_aug")
    whole, parts = whole_and_parts(columns)
    if whole:
        whole = tuple(dict.fromkeys([*whole, *rephrased]))
    if not whole and not parts and len(entry.tasks) > 1:
        raise ValueError(f"the list of episodes names {len(entry.tasks)} tasks, and no column says when which is done")
    return (whole, parts) if whole or parts else (entry.tasks or ("",), ())


def _named(numbers_of: Array, texts: dict[int, str], what: str, column: str = "") -> list[str]:
    """Return (T,) texts by number, from a column that may have another name; a number below 0 is no name."""
    if not (numbers_of == numbers_of.round()).all():  # NaN is not, either
        frame = int(np.flatnonzero(~(numbers_of == numbers_of.round()))[0])
        raise ValueError(f"{column or f'{what}_index'} is {numbers_of[frame]:g} at frame {frame}, no whole number")
    missing = [int(number) for number in np.unique(numbers_of) if number >= 0 and int(number) not in texts]
    if missing:
        raise ValueError(f"{what} {missing[0]} is not among the {len(texts)} of meta/{what}s")
    return [texts.get(int(number), "") for number in numbers_of]


def _texts_of(rows: Any, style: str) -> list[str]:
    return [row["content"] for row in rows or () if row.get("style") == style and isinstance(row.get("content"), str)]


def _subtasks(rows: Any, times_s: Array) -> list[str]:
    """Return (T,) the subtask in force, from the rows that every frame of an episode carries alike."""
    named = [row for row in rows or () if row.get("style") == "subtask" and isinstance(row.get("content"), str)]
    texts = [""] * len(times_s)
    for row in sorted(named, key=lambda row: row.get("timestamp") or 0.0):
        first = int(np.searchsorted(times_s, (row.get("timestamp") or 0.0) - 1e-3))
        texts[first:] = [row["content"]] * (len(texts) - first)
    return texts
