"""The text of each token of a completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_INCOMPLETE = "\ufffd"


def token_strings(ids: Sequence[int], decode: Callable[[list[int]], str]) -> tuple[str, ...]:
    """Return the text that each token adds; together they are `decode(ids)`.

    A token alone need not decode as it does after others (some put a space before a word), so each is decoded with the
    one before it. A character of several tokens belongs to the last of them; the others get "".

    Args:
        ids: the tokens.
        decode: from tokens to their text.

    >>> token_strings([72, 105, 195, 169], lambda ids: bytes(ids).decode(errors="replace"))
    ('H', 'i', '', 'é')
    """
    strings: list[str] = []
    window_start = decoded_end = 0
    for end in range(1, len(ids) + 1):
        before, now = decode(list(ids[window_start:decoded_end])), decode(list(ids[window_start:end]))
        is_whole = not now.endswith(_INCOMPLETE) or end == len(ids)
        new = now[len(before) :] if is_whole else ""
        strings.append(new)
        if new:
            window_start, decoded_end = decoded_end, end
    return tuple(strings)
