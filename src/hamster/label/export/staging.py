"""Write a folder atomically: it appears complete or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from hamster.files import LOCK_NAME, OWNER_NAME, FolderInUseError, lock_folder, sync_folder, write_atomic
from hamster.label.storage import json_bytes, sha256

NOTE = "hamster_export.json"
_LOCKS = (LOCK_NAME, OWNER_NAME)


class Staged:
    """Files are written into `part`; `finish` brings them to the disk and renames it to `out`.

    One process at a time writes to the same `out`. What a former export left there is replaced if only the content it
    was made of has changed, and nobody has touched its files since.

    Attributes:
        part: a hidden folder beside `out`; what an interrupted run left there is removed.
        done: what `finish` returned, if `out` is already there and was made with the same settings of the same content;
            else None.

    Raises:
        FolderInUseError: if another process writes to `out`.
        ValueError: if `out` holds anything else.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], content: str) -> None:
        self.out, self.settings, self.content = out, dict(settings), content
        self.part = out.with_name(f".{out.name}.part")
        self.done: dict[str, Any] | None = None
        self._lock = ExitStack()

    def __enter__(self) -> Staged:
        try:
            self._lock.enter_context(lock_folder(self.part))
        except FolderInUseError as error:
            raise FolderInUseError(str(error).replace(str(self.part), str(self.out))) from None
        try:
            note = self._note()
            if note.get("settings") == self.settings and note.get("content") == self.content:
                self.done = note["summary"]
            elif self.out.exists() and not self._is_replaceable(note):
                raise ValueError(f"{self.out} holds something else already{_about(note)}; choose another folder")
            else:
                self._clear()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        shutil.rmtree(self.part, ignore_errors=True)
        self._lock.__exit__(kind, error, at)  # which has a word for a full disk

    def finish(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Return the summary, with the number of files and a digest of them all; afterwards `out` is there."""
        summary = {**summary, **_files(self.part, sync=True)}
        note = {"settings": self.settings, "content": self.content, "summary": summary}
        write_atomic(self.part / NOTE, json_bytes(note, indent=1))
        for folder in [self.part, *(path for path in self.part.rglob("*") if path.is_dir())]:
            sync_folder(folder)
        for name in _LOCKS:  # the lock is held to the end, by the open file
            (self.part / name).unlink(missing_ok=True)
        old = self.out.with_name(f".{self.out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.out.is_dir():
            self.out.replace(old)
        self.part.replace(self.out)
        sync_folder(self.out.parent)
        shutil.rmtree(old, ignore_errors=True)
        return summary

    def _note(self) -> dict[str, Any]:
        """Return what the former export says of itself; {} without one."""
        try:
            note = json.loads((self.out / NOTE).read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _is_replaceable(self, note: Mapping[str, Any]) -> bool:
        """Return whether `out` is an empty folder, or an export with the same settings that is as it was written."""
        if not self.out.is_dir():
            return False
        if not any(self.out.iterdir()):
            return True
        files = _files(self.out, sync=False)
        return note.get("settings") == self.settings and files == {key: note["summary"].get(key) for key in files}

    def _clear(self) -> None:
        for path in self.part.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in _LOCKS:
                path.unlink()


def _about(note: Mapping[str, Any]) -> str:
    """Return what a former export was made of, for whoever made it."""
    if not note:
        return ""
    settings = note.get("settings")
    if not isinstance(settings, dict):
        return ": an export by an older version"
    made = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f": an export of other labels, or one that was touched since ({made})"


def _files(folder: Path, sync: bool) -> dict[str, Any]:
    """Return the number of files and a digest of them all."""
    lines = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.parent == folder and file.name in (NOTE, *_LOCKS):
            continue
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if sync:
                os.fsync(stream.fileno())
        lines.append(f"{digest}  {file.relative_to(folder).as_posix()}\n")
    return {"files": len(lines), "digest": sha256("".join(lines).encode())}
