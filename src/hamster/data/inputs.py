"""The inputs of an item, by which a later run detects changes without reading the item again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_GRAIN_S = 2.0  # of the coarsest clock of a file system: FAT's


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `stop - 1` of a file that holds many items."""

    file: Path
    start: int
    stop: int

    def read(self) -> bytes:
        """Return these bytes; fewer if the file has become shorter."""
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.stop - self.start)


@dataclass(frozen=True)
class Inputs:
    """What an item is made of.

    Attributes:
        name: of the item, for messages.
        files: all that are read for it, also those that are looked for and not there.
        facts: whatever else shows in its label: names relative to the source's folder, a generator's seed.
    """

    name: str
    files: Sequence[Path | FilePart] = ()
    facts: str = ""

    def stamp(self) -> str:
        """Return a digest of sizes and times, which changes whenever a file is written to or replaced."""
        return _digest([self.facts, *([_part(file), *_facts(_path(file))] for file in self.files)])

    def digest(self) -> str:
        """Return a digest of the contents; a missing file counts as such, an unreadable one by its error."""
        return _digest([self.facts, *map(_content, self.files)])

    def is_settled(self) -> bool:
        """Return whether any later change would show in the stamp: the clock's tick of the last change is over."""
        newest_ns = max((max(_facts(_path(file))[1:3]) for file in self.files), default=0)
        return time.time() - newest_ns / 1e9 > _GRAIN_S


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _path(file: Path | FilePart) -> Path:
    return file.file if isinstance(file, FilePart) else file


def _part(file: Path | FilePart) -> tuple[int, int] | None:
    return (file.start, file.stop) if isinstance(file, FilePart) else None


def _facts(file: Path) -> tuple[int, int, int, int]:
    """Return size, times of the last changes of content and of metadata, inode number; zeros if there is no file."""
    try:
        facts = file.stat()
    except (OSError, ValueError):
        return 0, 0, 0, 0
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _content(file: Path | FilePart) -> str:
    try:
        if not _path(file).is_file():  # a pipe would never end
            return ""
        if isinstance(file, Path):
            facts = _facts(file)
            if time.time() - max(facts[1:3]) / 1e9 > _GRAIN_S:
                return _hash_remembered(os.fspath(file), facts)
            return _hash(file)
        return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return type(error).__name__


@lru_cache(maxsize=256)  # a file of LeRobot's holds many episodes
def _hash_remembered(file: str, facts: tuple[int, int, int, int]) -> str:
    del facts
    return _hash(Path(file))


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
