"""Lists of names on the command line, and what registries hold, for help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module


def listed(text: str) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def registered(names: str, what: str = "") -> Callable[[str], str]:
    """Return a hint for tyro that lists names when help is printed, and not before.

    Args:
        names: "module:function" that returns the names, or "module:REGISTRY".
        what: words before the list.
    """

    def hint(default: str) -> str:
        module, _, attribute = names.partition(":")
        found = getattr(import_module(module), attribute)
        listing: Iterable[str] = found() if callable(found) else found
        text = f"{what}{', '.join(listing)}"
        return f"({default}; {text})" if default and default != "(required)" else f"({text})"

    return hint
