"""Lists of names on the command line."""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """The names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
