"""A model's text in, another form of the same path out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.data.text import decode_text

if TYPE_CHECKING:
    from hamster.dialects import Size
    from hamster.path import Path2D

MAX_BYTES = 1 << 20  # a path is a few hundred bytes; more is the wrong file
JSON = "json"


def read_text(file: str) -> str:
    """The text of a file, or of standard input for "-"; ValueError if it is no text or too long to hold a path."""
    if file == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{file} is longer than {MAX_BYTES} bytes; that is no model's answer")
    return decode_text(raw, file)


def convert_text(text: str, source: str, target: str = JSON, image_size: str = "") -> str:
    """Parses `text` strictly in one dialect and prints it in another, or as JSON.

    As JSON, a text with boxes, or with points on several images, is printed as such; nothing else can be made of it.
    What the target cannot say is named on standard error.

    Raises:
        PlanError: if it is no path, or could be in several dialects; it names them.
        ValueError: for a dialect or a size that does not exist.
    """
    from hamster.dialects import AUTO, DIALECTS, read, render, unsupported_fields
    from hamster.registry import unknown_name

    if source not in (AUTO, JSON) and source not in DIALECTS:
        raise unknown_name("dialect", source, (AUTO, JSON, *DIALECTS))
    if target != JSON and target not in DIALECTS:
        raise unknown_name("target", target, (JSON, *DIALECTS))
    size = parse_size(image_size) if image_size else None
    if source == JSON:
        path = _path_of_record(text)
    else:
        answer = read(text, source, size)
        if target == JSON and not answer.is_path:
            return json.dumps(answer.to_json())
        path = answer.path()
    if target == JSON:
        return json.dumps(path.to_json())
    if missing := unsupported_fields(path, target):
        sys.stderr.write(f"hamster: {target} has no words for {' and '.join(missing)}\n")
    return render(path, target, size)


def parse_size(text: str) -> Size:
    """Width and height from "640x480"; ValueError if it is anything else."""
    match = re.fullmatch(r"([0-9]{1,6})[xX×]([0-9]{1,6})", text.strip())
    if not match or not int(match[1]) or not int(match[2]):
        raise ValueError(f"image size {text[:40]!r} is not WIDTHxHEIGHT in pixels, like 640x480")
    return int(match[1]), int(match[2])


def _path_of_record(text: str) -> Path2D:
    from hamster.path import Path2D

    try:
        return Path2D.from_json(json.loads(text))
    except RecursionError:
        raise ValueError("not a path record: nested too deeply") from None
