"""Mirror an instruction: left becomes right and vice versa."""

from __future__ import annotations

import re

_SIDE = re.compile(r"\b(left|right)(?=most\b|\b)", re.IGNORECASE)
# Where "right" and "left" are no sides.
_NO_SIDE = re.compile(
    r"\bright (?:away|now|next to|beside|in front of|behind|there|here)\b|\ball right\b"
    r"|\b(?:be|been|being|is|are|was|were|it|them) left (?:on|onto|in|into|inside|upon|at|there|standing|alone)\b",
    re.IGNORECASE,
)
_OTHER = {"left": "right", "right": "left"}


def mirrored(text: str) -> str:
    """Return the text for the mirror image: left and right are swapped, in their capitalisation (Left, LEFT)."""
    kept = [match.span() for match in _NO_SIDE.finditer(text)]

    def swap(match: re.Match[str]) -> str:
        if any(start <= match.start() < end for start, end in kept):
            return match[0]
        return _like(_OTHER[match[0].lower()], match[0])

    return _SIDE.sub(swap, text)


def is_sided(word: str) -> bool:
    """Return whether a word names a side: its mirror image has another one."""
    return _SIDE.search(word) is not None


def _like(word: str, model: str) -> str:
    return word.upper() if model.isupper() else word.capitalize() if model[0].isupper() else word
