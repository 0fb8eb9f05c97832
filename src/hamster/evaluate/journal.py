"""The record of a run on disk: one JSON line per finished episode, appended the moment it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hamster.files import write_atomic

Record = dict[str, Any]


class Journal:
    """Finished episodes of one run; survives being killed at any moment.

    Args:
        folder: of the run.
        conditions: what all the episodes have in common. A folder holds the episodes of one set of conditions only.

    Raises:
        ValueError: if the folder holds episodes that were measured under other conditions.
    """

    def __init__(self, folder: Path, conditions: Mapping[str, Any]) -> None:
        self._file = folder / "rollouts.jsonl"
        self._conditions = json.loads(json.dumps(dict(conditions)))
        head = folder / "conditions.json"
        if self._file.exists() and head.exists():
            self._compare(folder, json.loads(head.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(head, json.dumps(self._conditions, indent=2))

    def records(self) -> dict[str, Record]:
        """Finished episodes by key. A last line that was cut off is no episode."""
        found = {}
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                found[record["key"]] = record
        return found

    def append(self, record: Record) -> None:
        """Adds an episode and waits until it is on disk."""
        torn = self._file.exists() and not self._file.read_bytes().endswith(b"\n")
        with self._file.open("a") as stream:
            stream.write(("\n" if torn else "") + json.dumps(record) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def sort(self, keys: Iterable[str]) -> None:
        """Rewrites the file in this order, so that it does not depend on who finished first."""
        found = self.records()
        order = [key for key in keys if key in found]
        order += [key for key in found if key not in set(order)]
        write_atomic(self._file, "".join(json.dumps(found[key]) + "\n" for key in order))

    def _compare(self, folder: Path, before: Mapping[str, Any]) -> None:
        names = sorted({*before, *self._conditions})
        other = [name for name in names if before.get(name) != self._conditions.get(name)]
        if other and self.records():
            changes = ", ".join(f"{name} was {before.get(name)}, is {self._conditions.get(name)}" for name in other)
            raise ValueError(f"{folder} holds another run ({changes}); name another --out, or remove that folder")
