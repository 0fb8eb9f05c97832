"""A folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hamster.files import write_atomic
from hamster.label.storage import json_bytes, sha256

NOTE = "hamster_export.json"


class Staged:
    """Files are written into `part`; `finish` brings them to the disk and renames it to `out`.

    Attributes:
        part: a hidden folder beside `out`; what an interrupted run left there is removed.
        done: what `finish` returned, if `out` is already there and was made from the same `key`; else None.

    Raises:
        ValueError: if `out` holds anything else.
    """

    def __init__(self, out: Path, key: Mapping[str, Any]) -> None:
        self.out, self.key = out, sha256(json_bytes(key))
        self.part = out.with_name(f".{out.name}.part")
        self.done: dict[str, Any] | None = None

    def __enter__(self) -> Staged:
        note = self.out / NOTE
        if note.is_file():
            found = json.loads(note.read_text())
            self.done = found["summary"] if found.get("key") == self.key else None
        if self.done is None:
            if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
                raise ValueError(f"{self.out} holds something else already; choose another folder")
            shutil.rmtree(self.part, ignore_errors=True)
            self.part.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        shutil.rmtree(self.part, ignore_errors=True)

    def finish(self, summary: dict[str, Any]) -> dict[str, Any]:
        """The summary, with the number of files and a digest of them all; afterwards `out` is there."""
        lines = []
        for file in sorted(path for path in self.part.rglob("*") if path.is_file()):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            lines.append(f"{digest}  {file.relative_to(self.part).as_posix()}\n")
        summary = {**summary, "files": len(lines), "digest": sha256("".join(lines).encode())}
        write_atomic(self.part / NOTE, json_bytes({"key": self.key, "summary": summary}, indent=1))
        for folder in [self.part, *(path for path in self.part.rglob("*") if path.is_dir())]:
            _sync(folder)
        if self.out.is_dir():
            self.out.rmdir()  # empty, as __enter__ saw
        self.part.replace(self.out)
        _sync(self.out.parent)
        return summary


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
