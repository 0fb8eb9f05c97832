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
HEAD = "conditions.json"


class Journal:
    """Finished episodes of one run; survives being killed at any moment.

    Args:
        folder: of the run.
        conditions: what all the episodes have in common. A folder holds the episodes of one set of conditions only.
        arms: by name what may be added to a folder later, but not change: planners, sources of images.
        name: of the file.

    Raises:
        ValueError: if the folder holds episodes that were measured under other conditions; says which.
    """

    def __init__(
        self,
        folder: Path,
        conditions: Mapping[str, Any],
        arms: Mapping[str, Any] | None = None,
        name: str = "rollouts.jsonl",
    ) -> None:
        self._file = folder / name
        now, arms_now = plain(conditions), plain(arms or {})
        before = held_conditions(folder)
        arms_before = before.pop("arms", {})
        if self.records():
            shared = {arm: arms_before[arm] for arm in arms_now if arm in arms_before}
            if other := differences(before | _named(shared), now | _named({arm: arms_now[arm] for arm in shared})):
                raise ValueError(f"{folder} holds another run ({other}); name another --out, or give --restart")
            arms_now = arms_before | arms_now
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / HEAD, json.dumps({**now, "arms": arms_now}, indent=2))

    def records(self) -> dict[str, Record]:
        """Finished episodes by key. A last line that was cut off is no episode."""
        return read_records(self._file)

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


def read_records(file: Path) -> dict[str, Record]:
    """Return the finished episodes of a journal by key; none where there is no file."""
    found = {}
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and "key" in record:
                found[record["key"]] = record
    return found


def held_conditions(folder: Path) -> dict[str, Any]:
    """Return the conditions under which the episodes in a folder were made; empty if nobody noted them."""
    try:
        held = json.loads((folder / HEAD).read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _named(arms: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about arms, each under a name of its own, so that a message can say which one changed."""
    return {
        f"{arm}'s {fact}": value
        for arm, facts in arms.items()
        for fact, value in (facts if isinstance(facts, dict) else {"content": facts}).items()
    }
