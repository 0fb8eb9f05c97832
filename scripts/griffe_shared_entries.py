"""Extend griffe, for the API reference: `a, b: text` in a docstring becomes an entry for `a` and one for `b`."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

# An entry of an Args or Attributes section that names several things, with the deeper lines that continue it.
_SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +\S.*)*)$", re.MULTILINE)


class SplitSharedEntries(Extension):
    """Give each name of a shared entry the whole text."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the object's docstring."""
        if obj.docstring:
            obj.docstring.value = _SHARED.sub(_entries, obj.docstring.value)


def _entries(match: re.Match[str]) -> str:
    indent, names, text = match.groups()
    return "\n".join(f"{indent}{name}: {text}" for name in names.split(", "))
