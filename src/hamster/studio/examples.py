"""Kept examples: pictures with instructions and paths, in a folder that `hamster label sketch:DIR` reads."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data.sketch import INDEX
from hamster.files import write_atomic
from hamster.path import Path2D

IMAGES = "images"


class Examples:
    """The examples of a folder; a page adds to them, and nothing here removes any.

    A picture is stored once, whatever is drawn on it; its name is a digest of it.

    Args:
        folder: is created with the first example.

    Raises:
        ValueError: if the folder has an index that is not text.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = folder / INDEX
        text = index.read_text("utf-8") if index.is_file() else ""
        self._lines = [line for line in text.split("\n") if line.strip()]

    def __len__(self) -> int:
        return len(self._lines)

    def keep(self, rgb: NDArray[np.uint8], instruction: str, path: Path2D, origin: str) -> bool:
        """Add an example, on disk when this returns; return False if it is there already.

        Args:
            rgb: (H, W, 3) that the path is drawn on, without the drawing.
            instruction: what the path carries out.
            path: drawn by a person, or at least seen by one.
            origin: how it came about, see `state.Origin`.
        """
        png = _png(rgb)
        digest = hashlib.sha256(png).hexdigest()[:16]
        file = f"{IMAGES}/{digest}.png"
        row = {"file": file, "instruction": instruction, "scene": digest, "path": path.to_json(), "origin": origin}
        line = json.dumps(row)
        if line in self._lines:
            return False
        (self.folder / IMAGES).mkdir(parents=True, exist_ok=True)
        if not (self.folder / file).is_file():
            write_atomic(self.folder / file, png)
        write_atomic(self.folder / INDEX, "\n".join([*self._lines, line]) + "\n")
        self._lines.append(line)
        return True


def _png(rgb: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", optimize=False)
    return file.getvalue()
