"""`hamster convert`: between the texts in which models write paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional


@dataclass(frozen=True)
class Convert:
    """Read a model's text, print its path: as JSON, or in another model's text."""

    file: Positional[str]
    """A text file, or - for standard input."""
    source: Annotated[str, tyro.conf.arg(name="from")] = "auto"
    """Dialect of the text (docs/dialects.md), json, or auto: the only one that can be meant."""
    target: Annotated[str, tyro.conf.arg(name="to")] = "json"
    """json, or the dialect to print."""
    image_size: str = ""
    """WxH, width and height of the original image: for dialects that count pixels."""

    def run(self) -> None:
        """Prints the path; a bad text is a one-line error and exit code 2."""
        from hamster.cli.convert_text import convert_text, read_text

        print(convert_text(read_text(self.file), self.source, self.target, self.image_size))  # noqa: T201
