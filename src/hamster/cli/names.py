"""Names of things, and what to say when there is no thing of that name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def listed(text: str) -> tuple[str, ...]:
    """The names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def unknown(what: str, name: str, known: Iterable[str]) -> ValueError:
    """An error that lists the names there are, the likeliest one first."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"unknown {what} {name!r}.{hint} There are: {', '.join(names)}.")
