"""A model's text in, another form of the same path out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hamster.cli.names import unknown

MAX_BYTES = 1 << 20  # a path is a few hundred bytes; more is the wrong file


def read_text(file: str) -> str:
    """The text of a file, or of standard input for "-"; ValueError if it is no text or too long to hold a path."""
    if file == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{file} is longer than {MAX_BYTES} bytes; that is no model's answer")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text (byte {error.start})") from None


def convert_text(text: str, source: str, target: str = "json") -> str:
    """Parses `text` strictly in one dialect and prints it in another, or as JSON; PlanError if it is no path."""
    from hamster.path.dialects import DIALECTS, parse, render

    if source not in DIALECTS:
        raise unknown("dialect", source, DIALECTS)
    if target not in ("json", *DIALECTS):
        raise unknown("target", target, ("json", *DIALECTS))
    path = parse(text, source)
    return json.dumps(path.to_json()) if target == "json" else render(path, target)
