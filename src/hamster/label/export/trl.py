"""A vision dataset for TRL's SFTTrainer: parquet with `messages` and `images`, as 🤗 datasets writes it.

load_dataset("parquet", data_files="OUT/data/*.parquet")   # and SFTConfig(max_length=None)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hamster.label.export.examples import Example, Turns, examples, published

_BATCH = 50  # rows in memory
_BATCHES_PER_FILE = 40
_CONTENT = pa.list_(pa.struct([("type", pa.string()), ("text", pa.string())]))
_TEXT = {"dtype": "string", "_type": "Value"}
# What `datasets` puts into its parquet files, so that the images come back as images.
_FEATURES = {
    "messages": {
        "feature": {"role": _TEXT, "content": {"feature": {"type": _TEXT, "text": _TEXT}, "_type": "List"}},
        "_type": "List",
    },
    "images": {"feature": {"_type": "Image"}, "_type": "List"},
    "source": _TEXT,
}
SCHEMA = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", _CONTENT)]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("source", pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


def write(folder: Path, out: Path, frames: int, dialect: str) -> dict[str, int]:
    """Write a label set as data/train-00000.parquet …, a row per question; return counts of what was written.

    Args:
        folder: of the label set.
        out: folder to write to.
        frames: of each episode.
        dialect: of the answers.
    """
    counts = dict.fromkeys(("images", "rows", "paths", "left_out"), 0)
    rows = _rows(folder, frames, dialect, counts)
    (out / "data").mkdir()
    with ExitStack() as opened:
        for number, batch in enumerate(iter(lambda: list(islice(rows, _BATCH)), [])):
            if number % _BATCHES_PER_FILE == 0:
                opened.close()
                file = out / "data" / f"train-{number // _BATCHES_PER_FILE:05d}.parquet"
                writer = opened.enter_context(pq.ParquetWriter(file, SCHEMA))
            writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
    return counts


def _rows(folder: Path, frames: int, dialect: str, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    for example in examples(folder, frames, published(dialect)):
        if example is None:
            counts["left_out"] += 1
            continue
        counts["images"] += example.image is not None
        for talk in example.talks:
            counts["rows"] += 1
            counts["paths"] += talk.path is not None
            yield _row(example, talk.turns)


def _row(example: Example, talk: Turns) -> dict[str, Any]:
    contents: list[tuple[str, list[dict[str, Any]]]] = [(role, [{"type": "text", "text": text}]) for role, text in talk]
    images = []
    if example.image is not None:
        first = next((i for i, (role, _) in enumerate(contents) if role == "user"), 0)
        contents[first][1].insert(0, {"type": "image", "text": None})
        images = [{"bytes": example.image, "path": None}]
    messages = [{"role": role, "content": content} for role, content in contents]
    return {"messages": messages, "images": images, "source": example.name}
