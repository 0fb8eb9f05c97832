"""The record of a run on disk: one JSON line per finished episode, appended the moment it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hamster.files import write_atomic
from hamster.identity import differences, plain

Record = dict[str, Any]
IDENTITY_FILE = "conditions.json"
MEDIA_FOLDERS = ("videos", "films", "stills")  # version 0.1 wrote films
RENAMED = {"arm": "condition", "arms": "conditions", "film": "video"}  # keys of version 0.1
RENAMED_OUTCOMES = {"motion_refused": "unsafe_action"}


class Journal:
    """Finished episodes of one run; survives being killed at any moment.

    Args:
        folder: of the run.
        identity: what all episodes have in common. A folder holds the episodes of one identity only.
        conditions: by name, what may be added to a folder later but not change: planners, sources of images.
        name: name of the file.

    Raises:
        ValueError: if the folder holds episodes of another identity; the message says what differs.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        conditions: Mapping[str, Any] | None = None,
        name: str = "rollouts.jsonl",
    ) -> None:
        self._file = folder / name
        identity, conditions = plain(identity), plain(conditions or {})
        stored = read_identity(folder)
        stored_conditions = stored.pop("conditions", {})
        if self.records():
            shared = [name for name in conditions if name in stored_conditions]
            before = stored | _flat({name: stored_conditions[name] for name in shared})
            now = identity | _flat({name: conditions[name] for name in shared})
            if changes := differences(before, now):
                raise ValueError(f"{folder} holds another run ({changes}); name another --out, or give --restart")
            conditions = stored_conditions | conditions
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / IDENTITY_FILE, json.dumps({**identity, "conditions": conditions}, indent=2))

    def records(self) -> dict[str, Record]:
        """Return the finished episodes by key; a last line that was cut off is ignored."""
        return read_records(self._file)

    def append(self, record: Record) -> None:
        """Append an episode and wait until it is on disk."""
        torn = self._file.exists() and not self._file.read_bytes().endswith(b"\n")
        with self._file.open("a") as stream:
            stream.write(("\n" if torn else "") + json.dumps(record) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def sort(self, keys: Iterable[str]) -> None:
        """Rewrite the file in this order, so that it does not depend on which episode finished first."""
        records = self.records()
        order = [key for key in keys if key in records]
        order += [key for key in records if key not in set(order)]
        write_atomic(self._file, "".join(json.dumps(records[key]) + "\n" for key in order))


def read_records(file: Path) -> dict[str, Record]:
    """Return the finished episodes of a journal by key; none where there is no file."""
    records = {}
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and "key" in record:
                records[record["key"]] = _current_names(record)
    return records


def read_identity(folder: Path) -> dict[str, Any]:
    """Return the identity of the run that a folder holds, with its "conditions"; empty if there is none."""
    try:
        stored = json.loads((folder / IDENTITY_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return _current_names(stored) if isinstance(stored, dict) else {}


def _current_names(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with today's names, in its own order; version 0.1 wrote others."""
    return {
        RENAMED.get(key, key): RENAMED_OUTCOMES.get(str(value), value) if key == "outcome" else value
        for key, value in record.items()
    }


def _flat(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the properties of conditions, each under a name of its own, so that a message can say which changed."""
    return {
        f"{name}'s {key}": value
        for name, properties in conditions.items()
        for key, value in (properties if isinstance(properties, dict) else {"content": properties}).items()
    }
