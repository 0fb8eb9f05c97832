"""Annotations beside a video file: its instruction, a crop, and the position of the gripper.

Looked for, in this order: `NAME.json` ({"instruction": …}), `NAME.txt` (a phrasing per line), a line with this file's
name in any `*.jsonl` of its folder or the folder above ({"file": …, "instruction" or "task": …}), and the name itself.
JSON may also give `crop` [left, top, right, bottom], relative to the frame: of a video with two pictures side by side,
one; `click` [frame, u, v], relative to what is left after the crop: the gripper's tip; and `licence`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.data.instructions import MAX_INSTRUCTION_CHARS
from hamster.data.text import decode_text, instruction_from_name, lines_of

MAX_BYTES = 16 << 20
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Notes:
    """Annotations of a video; attributes as in the module's docstring, without an instruction where none is given."""

    instructions: tuple[str, ...]
    crop: Box | None = None
    click: tuple[int, float, float] | None = None
    licence: str = ""


def read_notes(file: Path) -> Notes:
    """Return what is known about a video file.

    Raises:
        ValueError: in one line with the name of the sidecar, if it is damaged or too large.
    """
    beside = file.with_suffix(".json")
    if beside.is_file():
        record, place = _object(_text(beside), beside.name), beside.name
    else:
        record, place = _line_about(file)
    texts = record.get("instructions", record.get("instruction", record.get("task", ())))
    instructions = [texts] if isinstance(texts, str) else texts
    if not instructions and file.with_suffix(".txt").is_file():
        instructions = lines_of(_text(file.with_suffix(".txt")))
    if not isinstance(instructions, list | tuple) or not all(isinstance(text, str) for text in instructions):
        raise ValueError(f"{place}: the instruction must be a text or a list of texts")
    phrases = tuple(text.strip()[:MAX_INSTRUCTION_CHARS] for text in instructions if text.strip())
    click = _numbers(record, "click", 3, place)
    if click is not None and click[0] < 0:
        raise ValueError(f"{place}: click must be [frame, u, v] with u and v in [0, 1], got {record['click']}")
    return Notes(
        phrases or (instruction_from_name(file.stem),),
        _box(_numbers(record, "crop", 4, place), place),
        None if click is None else (int(click[0]), click[1], click[2]),
        str(record.get("licence", record.get("license", "")))[:200],
    )


def note_files(file: Path) -> list[Path]:
    """Return where something about a video may be written: all that `read_notes` looks at."""
    lists = (sidecar for folder in (file.parent, file.parent.parent) for sidecar in sorted(folder.glob("*.jsonl")))
    return [file.with_suffix(".json"), file.with_suffix(".txt"), *lists]


def _line_about(file: Path) -> tuple[dict[str, Any], str]:
    for folder in (file.parent, file.parent.parent):
        for sidecar in sorted(folder.glob("*.jsonl")):
            for record in _lines(sidecar):
                named = record.get("file")
                if isinstance(named, str) and named and (folder / named).resolve() == file.resolve():
                    return record, sidecar.name
    return {}, ""


def _lines(sidecar: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines_of(_text(sidecar)), 1):
        if line.strip():
            yield _object(line, f"{sidecar.name}, line {number}")


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f'{place} is not a JSON object such as {{"instruction": "put the cup on the plate"}}')
    return record


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} has more than {MAX_BYTES >> 20} MiB; split it up")
    return decode_text(file.read_bytes(), file.name, "replace")


def _numbers(record: dict[str, Any], key: str, count: int, place: str) -> tuple[float, ...] | None:
    values = record.get(key)
    if values is None:
        return None
    fine = isinstance(values, list) and len(values) == count
    fine = fine and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    if not fine or not all(0 <= v <= 1 for v in values[count - 4 if count == 4 else 1 :]):
        form = "[left, top, right, bottom]" if count == 4 else "[frame, u, v]"
        raise ValueError(f"{place}: {key} must be {form}, relative to the image, got {str(values)[:80]}")
    return tuple(float(v) for v in values)


def _box(values: tuple[float, ...] | None, place: str) -> Box | None:
    if values is None:
        return None
    left, top, right, bottom = values
    if not (right - left >= 0.01 and bottom - top >= 0.01):
        raise ValueError(f"{place}: crop must be [left, top, right, bottom] with left < right and top < bottom")
    return left, top, right, bottom
