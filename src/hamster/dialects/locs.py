"""PaliGemma's location tokens: <loc0327><loc0256> is y then x; four in a row are a box, y0 x0 y1 x1.

Things are separated by a semicolon, and each may have a name after its tokens.
"""

from __future__ import annotations

import re

from hamster.dialects.marks import MAX_MARKS, Group, Mark, Number, event_of, excerpt, fail

_START = re.compile(r"<loc")
_TOKEN = re.compile(r"<loc([0-9]{4})>")
_NAME = re.compile(r"(?:\s|<seg[0-9]{3}>)*+([^;<>]{0,80}+)")


def read(text: str, start: int, end: int) -> list[Group]:
    """Return all runs of tokens, as one answer.

    Args:
        text: the model's output.
        start, end: the characters to search.
    """
    marks: Group = []
    at = start
    while first := _START.search(text, at, end):
        run, at = _run(text, first.start(), end)
        name = _NAME.match(text, at, end)
        label = name[1].strip() if name else ""
        marks += _marks(text, run, label)
        if len(marks) > MAX_MARKS:
            fail(text, f"more than {MAX_MARKS} points", first.start())
    return [marks] if marks else []


def _run(text: str, at: int, end: int) -> tuple[list[Number], int]:
    numbers = []
    while _START.match(text, at, end):
        token = _TOKEN.match(text, at, end)
        if not token:
            cut = "cut off: " if text.find(">", at, end) < 0 else ""
            fail(text, f"{cut}expected <locNNNN> with four digits, found {excerpt(text, at, end)}", at)
        numbers.append(Number(float(token[1]), token[0], at))
        at = token.end()
    return numbers, at


def _marks(text: str, run: list[Number], label: str) -> Group:
    if len(run) % 2:
        fail(text, f"{len(run)} location tokens in a row: points have two, boxes four", run[0].at)
    if len(run) == 4:
        return [Mark("box", tuple(run), run[0].at, label)]
    pairs = list(zip(run[::2], run[1::2], strict=True))
    events = [None] * (len(pairs) - 1) + [event_of(label)]
    return [Mark("point", pair, pair[0].at, label, event) for pair, event in zip(pairs, events, strict=True)]
