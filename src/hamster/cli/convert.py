"""`hamster convert`: convert between the texts in which models answer with paths."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

if TYPE_CHECKING:
    from hamster.dialects import Size
    from hamster.path import Path2D

MAX_BYTES = 1 << 20  # a path is a few hundred bytes; more is the wrong file
JSON = "json"


@dataclass(frozen=True)
class Convert:
    """Read a model's text and print its path, as JSON or in another dialect."""

    file: Positional[str]
    """Text file, or - for standard input."""
    source: Annotated[str, tyro.conf.arg(name="from")] = "auto"
    """Dialect of the text (docs/dialects.md), json, or auto: the only dialect that can parse it."""
    target: Annotated[str, tyro.conf.arg(name="to")] = JSON
    """json, or the dialect to print."""
    image_size: str = ""
    """Size of the original image, WIDTHxHEIGHT, for dialects that count pixels."""

    def run(self) -> None:
        """Print the path; a text that does not parse is a one-line error and exit code 2."""
        print(convert_text(read_text(self.file), self.source, self.target, self.image_size))  # noqa: T201


def read_text(file: str) -> str:
    """Return the text of a file, or of standard input for "-"; ValueError if it is no text or too long for a path."""
    from hamster.data.text import decode_text

    if file == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{file} is longer than {MAX_BYTES} bytes; that is no model's answer")
    return decode_text(raw, file)


def convert_text(text: str, source: str, target: str = JSON, image_size: str = "") -> str:
    """Parse a text strictly in one dialect and return it in another, or as JSON.

    A text with boxes, or with points on several images, can only be converted to JSON. What the target cannot express
    is named on standard error.

    Args:
        text: a model's answer.
        source: its dialect, "json", or "auto".
        target: dialect to convert to, or "json".
        image_size: WIDTHxHEIGHT of the original image, for dialects that count pixels.

    Raises:
        PlanError: if it is no path, or if several dialects parse it; the message names them.
        ValueError: for an unknown dialect or an invalid size.
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
    """Parse "640x480" into width and height; ValueError for anything else."""
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
