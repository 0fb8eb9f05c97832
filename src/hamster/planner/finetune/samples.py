"""Label sets as a table of samples that is read from the disk as it is needed.

What `examples` yields is written once, as Arrow files that are mapped into memory; a sample is a place in them.
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
from hamster.planner.nano_training.pictures import Part

Message = dict[str, Any]


class Samples:
    """Questions with answers about images, of several label sets, one after the other.

    Attributes:
        sizes: how many samples each set has. left_out: items without a picture, or a path the dialect cannot say.
        set_of: (N,) which set each is from. is_asked: (N,) whether something is to be done. is_path: (N,) whether the
            answer is a path: neither for other questions, only the first for what is not in view. key: changes with
            the content.
    """

    def __init__(self, parts: Sequence[Part], frames: int, words: Words, cache: Path, about: str = "") -> None:
        """Reads label sets, or what a former call of the same words left in `cache`.

        Args:
            parts: the label sets.
            frames: of each of their episodes.
            words: in which they are said.
            cache: a folder.
            about: names the words: what was made of others is not taken for it.

        Raises:
            ValueError: if one of them has nothing to learn from.
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
        self._row, self._talk, self.is_asked, self.is_path = (
            np.concatenate(each) for each in zip(*indices, strict=True)
        )
        self.left_out = sum(sum(not talks for talks in talks_of(table)) for table in self._tables)

    def __len__(self) -> int:
        return len(self._row)

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """(N,) the samples of every so many-th episode, image or conversation; a set of one item keeps it."""
        held = []
        for which, table in enumerate(self._tables):
            item = np.asarray(table.data.column("item").to_numpy())
            items = int(item.max()) + 1
            every = min(round(1 / share), items) if share and items > 1 else items + 1
            held.append(item[self._row[self.set_of == which]] % every == every - 1)
        return np.concatenate(held)

    def pixels(self) -> NDArray[np.int32]:
        """(N, 2) width and height of the samples' images, 0 without one."""
        found = np.zeros((len(self), 2), np.int32)
        for which, table in enumerate(self._tables):
            size = np.stack([table.data.column(side).to_numpy() for side in ("width", "height")], 1)
            found[self.set_of == which] = size[self._row[self.set_of == which]]
        return found

    def licences(self, which: int) -> Counter[str]:
        """Of the pictures and texts of a set, with how often each is stated."""
        return Counter(self._tables[which].data.column("licence").to_pylist())

    def row(self, index: int) -> Row:
        """{"images", "prompt", "completion"} as TRL takes them; the completion begins with the first answer."""
        found = self._at(index)
        return {"images": _images(found), **_split(_messages(found, self._talk[index]))}

    def words_of(self, index: int) -> Row:
        """The same without reading the image; there is a place for it in the prompt."""
        return {"images": [], **_split(_messages(self._at(index, ["talks", "width"]), self._talk[index]))}

    def instruction(self, index: int) -> str:
        """What is to be done."""
        return str(self._at(index, ["talks"])["talks"][self._talk[index]]["instruction"])

    def path(self, index: int) -> Path2D | None:
        """What the answer draws."""
        text = self._at(index, ["talks"])["talks"][self._talk[index]]["path"]
        return Path2D.from_json(json.loads(text)) if text else None

    def lazily(self, indices: Indices) -> Any:
        """A `datasets.Dataset` of these samples, read when they are asked for."""
        from datasets import Dataset

        return Dataset.from_dict({"sample": indices}).with_transform(self._rows)

    def _rows(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        found = [self.row(index) for index in batch["sample"]]
        return {name: [row[name] for row in found] for name in ("images", "prompt", "completion")}

    def _at(self, index: int, columns: Sequence[str] | None = None) -> Row:
        table = self._tables[self.set_of[index]]
        found: Row = (table.select_columns(list(columns)) if columns else table)[int(self._row[index])]
        return found


def _messages(row: Row, talk: int) -> list[Message]:
    said = [
        {"role": turn["role"], "content": [{"type": "text", "text": turn["text"]}]}
        for turn in row["talks"][talk]["turns"]
    ]
    if row["width"]:
        first = next((message for message in said if message["role"] == "user"), said[0])
        first["content"].insert(0, {"type": "image"})
    return said


def _split(messages: list[Message]) -> Row:
    first = next((i for i, message in enumerate(messages) if message["role"] == "assistant"), len(messages))
    return {"prompt": messages[:first], "completion": messages[first:]}


def _images(row: Row) -> list[Image.Image]:
    if not row["width"]:
        return []
    with Image.open(row["file"] or io.BytesIO(row["image"])) as picture:
        return [Image.fromarray(to_rgb(picture))]
