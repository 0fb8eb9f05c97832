"""What a source yields in the place of something that it could not read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unreadable:
    """One item that is left out, and why; a run counts and reports it and goes on."""

    file: str
    reason: str
