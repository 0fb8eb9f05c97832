"""Kept examples: pictures with instructions and paths, in a folder that `hamster label sketch:DIR` reads."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data.sketch import INDEX, PICTURES
from hamster.data.text import inside
from hamster.files import write_atomic
from hamster.path import Path2D
from hamster.studio.errors import StudioError, conflict

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

    def archive(self, most_bytes: int) -> Iterator[bytes]:
        """Return a zip archive in parts, which unpacked is a folder for `hamster label sketch:DIR`.

        Of an index that others have written into, lines whose pictures are not in the folder are left out.

        Args:
            most_bytes: of the pictures.

        Raises:
            StudioError: if there are no examples, or too many bytes.
        """
        lines, files = [], dict[str, Path]()
        for line in list(self._lines):
            try:
                name = json.loads(line)["file"]
                file = inside(self.folder, name)
            except (ValueError, KeyError, TypeError):
                continue
            if file.suffix.lower() in PICTURES and file.is_file():
                lines.append(line)
                files[file.resolve().relative_to(self.folder.resolve()).as_posix()] = file
        if not lines:
            raise conflict("no_examples", "there are no examples yet: keep a path first")
        if (n_bytes := sum(file.stat().st_size for file in files.values())) > most_bytes:
            raise StudioError(
                413, "too_large", f"the examples take {n_bytes >> 20} MiB: copy the folder {self.folder} instead"
            )
        return _zipped("\n".join(lines) + "\n", files)


class _Parts(io.RawIOBase):
    """A stream whose content is taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def _zipped(index: str, files: Mapping[str, Path]) -> Iterator[bytes]:
    """Yield an archive of an index and files by their names in it, one file after the other."""
    stream = _Parts()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(INDEX, index, zipfile.ZIP_DEFLATED)
        for name, file in files.items():
            archive.writestr(name, file.read_bytes())
            yield stream.take()
    yield stream.take()


def _png(rgb: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", optimize=False)
    return file.getvalue()
