"""What each token of an answer says: a text, cut where its tokens meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"


def pieces_of(ids: Sequence[int], decode: Callable[[list[int]], str]) -> tuple[str, ...]:
    """The text that each token adds, together `decode(ids)`.

    A token alone need not decode as it does after others (some put a space before a word), so each is decoded with the
    one before it. A character of several tokens is said by the last of them, the others say nothing.

    Args:
        ids: the tokens.
        decode: from tokens to their text.
    """
    found: list[str] = []
    begin = said = 0
    for end in range(1, len(ids) + 1):
        before, now = decode(list(ids[begin:said])), decode(list(ids[begin:end]))
        is_whole = not now.endswith(_HALF) or end == len(ids)
        new = now[len(before) :] if is_whole else ""
        found.append(new)
        if new:
            begin, said = said, end
    return tuple(found)
