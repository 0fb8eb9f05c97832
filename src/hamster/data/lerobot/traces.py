"""Paths in LeRobot's `language_events`: rows of style `trace`, whose content LeRobot leaves open. This is ours.

    {"format": "hamster-trace/1", "instruction": "put the cup on the plate",
     "uv": [[0.25, 0.32], [0.74, 0.21]], "gripper": ["unknown", "closed"], "depth_m": [0.61, 0.58] or null,
     "visible": ["visible", "occluded"] or null, "score": null,
     "how": {"method": "projection", "tool": "hamster", "version": "0.1.0", "score": null} or null}

One row per frame and camera: the path from that frame to the end, on that camera's image. `uv` is relative to the
image, x right, y down, so it holds at any size. docs/formats.md is the long form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hamster.data.lerobot.columns import read_table
from hamster.data.lerobot.metadata import DatasetMetadata, file_inside
from hamster.path import Path2D

FORMAT = "hamster-trace/1"
STYLE = "trace"
COLUMN = "language_events"


def trace_content(
    path: Path2D,
    instruction: str = "",
    visible: Sequence[str] | None = None,
    how: Mapping[str, Any] | None = None,
) -> str:
    """Return the text of a row: one JSON object on one line.

    Args:
        path: of the frame.
        instruction: that it carries out.
        visible: visibility by name, per waypoint.
        how: `LabelMethod.to_json`, where it is known.
    """
    record = {
        "format": FORMAT,
        "instruction": instruction,
        **path.to_json(),
        "visible": None if visible is None else list(visible),
        "how": None if how is None else dict(how),
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def trace_from_content(content: str) -> tuple[Path2D, dict[str, Any]]:
    """Return the path of a row, and the whole record; ValueError if it is not in this format."""
    try:
        record = json.loads(content)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("the content of a trace is not JSON") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"the content of a trace has to be an object with format {FORMAT!r}")
    return Path2D.from_json(record), record


def read_traces(folder: Path, index: int) -> list[dict[str, tuple[Path2D, dict[str, Any]]]]:
    """Return per frame of an episode, by camera feature: the path and its whole record. Empty where there is none.

    Raises:
        ValueError: if the episode cannot be read, or a row of style `trace` is in another format.
    """
    entry = DatasetMetadata(Path(folder)).entry(index)
    table = read_table(file_inside(Path(folder), entry.data), [COLUMN], entry.number)
    if COLUMN not in table.column_names:
        return []
    return [
        {str(row["camera"]): trace_from_content(row["content"]) for row in rows or () if row.get("style") == STYLE}
        for rows in table[COLUMN].to_pylist()
    ]
