"""Label sets as a table of samples that is read from the disk as it is needed.

The examples are converted once, to Arrow files that are mapped into memory; a sample is a conversation in them.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data.images import to_rgb
from hamster.label.export.examples import Words
from hamster.path import Path2D
from hamster.planner.finetune.dataset import Indices, Row, index_of, read_table, talks_of
from hamster.planner.nano_training.pictures import WeightedDataset

Message = dict[str, Any]


class Samples:
    """Prompts with answers about images, of several label sets, one after the other.

    Attributes:
        parts: the label sets.
        sizes: samples of each set.
        left_out: items without an image, or with a path that the dialect cannot express.
        set_of: (N,) the set of each sample.
        is_instruction: (N,) whether the prompt is an instruction for the robot.
        is_path: (N,) whether the answer is a path; it is not for instructions about what is not in view.
        key: changes with the content.
    """

    def __init__(
        self, parts: Sequence[WeightedDataset], frames: int, words: Words, cache: Path, about: str = ""
    ) -> None:
        """Convert label sets, or read what an earlier call with the same arguments left in `cache`.

        Args:
            parts: the label sets.
            frames: of each of their episodes.
            words: how examples are phrased.
            cache: a folder.
            about: identifies `words` in the cache.

        Raises:
            ValueError: if one of them has no samples.
        """
        self.parts = tuple(parts)
        self._tables = [read_table(part.folder, frames, words, cache, about) for part in parts]
        self.key = [table._fingerprint for table in self._tables]
        indices = [index_of(table) for table in self._tables]
        self.sizes = tuple(len(item) for item, *_ in indices)
        for part, size in zip(parts, self.sizes, strict=True):
            if not size:
                raise ValueError(f"{part.folder} has nothing to learn from: no picture, or no path that can be said")
        self.set_of = np.repeat(np.arange(len(parts)), self.sizes)
        self._row, self._talk, self.is_instruction, self.is_path = (
            np.concatenate(columns) for columns in zip(*indices, strict=True)
        )
        self.left_out = sum(sum(not talks for talks in talks_of(table)) for table in self._tables)

    def __len__(self) -> int:
        return len(self._row)

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """Return (N,) whether a sample is held out: those of every 1 / share-th item; a set of one item keeps it."""
        masks = []
        for which, table in enumerate(self._tables):
            item = np.asarray(table.data.column("item").to_numpy())
            items = int(item.max()) + 1
            every = min(round(1 / share), items) if share and items > 1 else items + 1
            masks.append(item[self._row[self.set_of == which]] % every == every - 1)
        return np.concatenate(masks)

    def pixels(self) -> NDArray[np.int32]:
        """Return (N, 2): width and height of the samples' images in pixels, 0 without one."""
        sizes = np.zeros((len(self), 2), np.int32)
        for which, table in enumerate(self._tables):
            size = np.stack([table.data.column(side).to_numpy() for side in ("width", "height")], 1)
            sizes[self.set_of == which] = size[self._row[self.set_of == which]]
        return sizes

    def licences(self, which: int) -> Counter[str]:
        """Count the licences that the images and texts of a set state."""
        return Counter(self._tables[which].data.column("licence").to_pylist())

    def row(self, index: int) -> Row:
        """Return {"images", "prompt", "completion"} as TRL takes them; the completion begins with the first answer."""
        row = self._at(index)
        return {"images": _images(row), **_split(_messages(row, self._talk[index]))}

    def row_without_image(self, index: int) -> Row:
        """Return the same without reading the image; its placeholder stays in the prompt."""
        return {"images": [], **_split(_messages(self._at(index, ["talks", "width"]), self._talk[index]))}

    def instruction(self, index: int) -> str:
        """Return the instruction, "" if the prompt is another question."""
        return str(self._at(index, ["talks"])["talks"][self._talk[index]]["instruction"])

    def path(self, index: int) -> Path2D | None:
        """Return the path of the answer, None if it has none."""
        text = self._at(index, ["talks"])["talks"][self._talk[index]]["path"]
        return Path2D.from_json(json.loads(text)) if text else None

    def lazily(self, indices: Indices) -> Any:
        """Return a `datasets.Dataset` of these samples, which are read on access."""
        from datasets import Dataset

        return Dataset.from_dict({"sample": indices}).with_transform(self._rows)

    def _rows(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        rows = [self.row(index) for index in batch["sample"]]
        return {name: [row[name] for row in rows] for name in ("images", "prompt", "completion")}

    def _at(self, index: int, columns: Sequence[str] | None = None) -> Row:
        table = self._tables[self.set_of[index]]
        row: Row = (table.select_columns(list(columns)) if columns else table)[int(self._row[index])]
        return row


def _messages(row: Row, talk: int) -> list[Message]:
    messages = [
        {"role": turn["role"], "content": [{"type": "text", "text": turn["text"]}]}
        for turn in row["talks"][talk]["turns"]
    ]
    if row["width"]:
        first = next((message for message in messages if message["role"] == "user"), messages[0])
        first["content"].insert(0, {"type": "image"})
    return messages


def _split(messages: list[Message]) -> Row:
    first = next((i for i, message in enumerate(messages) if message["role"] == "assistant"), len(messages))
    return {"prompt": messages[:first], "completion": messages[first:]}


def _images(row: Row) -> list[Image.Image]:
    if not row["width"]:
        return []
    with Image.open(row["file"] or io.BytesIO(row["image"])) as picture:
        return [Image.fromarray(to_rgb(picture))]
