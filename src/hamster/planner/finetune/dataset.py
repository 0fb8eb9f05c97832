"""Label sets converted to conversations: Arrow files, written once, that are mapped into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.label.dataset import shards
from hamster.label.export.examples import Example, Words, examples

Row = dict[str, Any]
Indices = NDArray[np.int64]
VERSION = 1


def read_table(folder: Path, frames: int, words: Words, cache: Path, about: str) -> Any:
    """Return a `datasets.Dataset` with a row per example; one that was left out has no talks.

    What was written for the same files, `frames`, dialect and `about` is read again.

    Args:
        folder: of the label set.
        frames: of each episode.
        words: how examples are phrased.
        cache: a folder for the Arrow files.
        about: identifies `words`.
    """
    from datasets import Dataset, Features, List, Value, disable_progress_bars
    from datasets.exceptions import DatasetGenerationError

    disable_progress_bars()
    turns = List({"role": Value("string"), "text": Value("string")})
    talk = {"turns": turns, "instruction": Value("string"), "path": Value("string")}
    texts = dict.fromkeys(("file", "name", "licence"), Value("string"))
    sizes = dict.fromkeys(("width", "height"), Value("int32"))
    features = Features({"image": Value("large_binary"), **texts, **sizes, "item": Value("int64"), "talks": List(talk)})
    files = [file["sha256"] for shard in shards(folder) for file in shard["files"]]
    identity = [VERSION, str(folder.resolve()), files, frames, words.dialect, about]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]

    def rows(of: str) -> Iterator[Row]:
        yield from map(_record, examples(folder, frames, words))

    try:
        return Dataset.from_generator(rows, features, str(cache), gen_kwargs={"of": key}, fingerprint=key)
    except DatasetGenerationError as error:
        raise error.__cause__ or error from None  # the cause is the label set's own error


def _record(example: Example | None) -> Row:
    if example is None:
        return {**dict.fromkeys(("image", "file", "name", "licence")), "width": 0, "height": 0, "item": 0, "talks": []}
    is_file = isinstance(example.picture, Path)
    talks = [
        {
            "turns": [{"role": role, "text": text} for role, text in talk.turns],
            "instruction": talk.instruction,
            "path": json.dumps(talk.path.to_json()) if talk.path else "",
        }
        for talk in example.talks
        if any(role == "assistant" and text for role, text in talk.turns)
    ]
    return {
        "image": None if is_file else example.picture,
        "file": str(example.picture) if is_file else None,
        "width": example.size[0],
        "height": example.size[1],
        "item": example.item,
        "name": example.name,
        "licence": example.licence,
        "talks": talks,
    }


def talks_of(table: Any) -> Iterator[list[Row]]:
    """Yield the conversations of each row."""
    for batch in table.data.select(["talks"]).to_batches(max_chunksize=1000):
        yield from batch.column(0).to_pylist()


def index_of(table: Any) -> tuple[Indices, Indices, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, each (N,), a sample's row, its conversation in the row, whether it is an instruction, whether a path."""
    rows, numbers, is_instruction, is_path = list[int](), list[int](), list[bool](), list[bool]()
    for row, talks in enumerate(talks_of(table)):
        rows += [row] * len(talks)
        numbers += range(len(talks))
        is_instruction += [bool(talk["instruction"]) for talk in talks]
        is_path += [bool(talk["path"]) for talk in talks]
    return (
        np.array(rows, np.int64), np.array(numbers, np.int64), np.array(is_instruction, np.bool_),
        np.array(is_path, np.bool_),
    )  # fmt: skip
