"""Parts of the cards (README.md) of models and data sets: Markdown with the metadata header that hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

CARD = "README.md"


def header(metadata: Mapping[str, Any]) -> str:
    """Return the metadata as a YAML header; every JSON value is YAML."""
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in metadata.items()) + "---"


def section(title: str, values: Mapping[str, Any]) -> str:
    """Return a heading and a table of names and values."""
    rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in values.items()]
    return f"## {title}\n\n{table(('', ''), rows)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    >>> print(table(("metric", "value"), [("median", "1")]))
    | metric | value |
    | --- | --- |
    | median | 1 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
