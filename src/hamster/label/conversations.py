"""Shards of conversations: a line of JSON each; the images stay where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hamster.data import Conversation, Provenance
from hamster.label.annotated import provenance_json
from hamster.label.storage import json_bytes


def pack(conversations: Sequence[Conversation], stem: str) -> dict[str, bytes]:
    """Return the file of a shard, by name."""
    lines = ({"image": c.image, "turns": c.turns, "provenance": provenance_json(c.provenance)} for c in conversations)
    return {f"{stem}.jsonl": b"".join(json_bytes(line) for line in lines)}


def unpack(folder: Path, names: Sequence[str]) -> Iterator[Conversation]:
    """Yield the conversations of a shard, from the folder of its label set and the name of its file there."""
    for line in (folder / names[0]).read_bytes().splitlines():
        record = json.loads(line)
        turns = tuple((role, text) for role, text in record["turns"])
        yield Conversation(record["image"], turns, Provenance(**record["provenance"]))
