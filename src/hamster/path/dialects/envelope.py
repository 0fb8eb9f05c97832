"""Where in a model's text the answer is: after the thinking, between the tags, inside the code fence.

Every span is a pair of characters (start, end) of the whole text, so that messages can name the place.
"""

from __future__ import annotations

import re

from hamster.path.dialects.found import fail

Span = tuple[int, int]
MAX_SPANS = 100

_THOUGHT = re.compile(r"</think(?:ing)?>")
_THINKING = re.compile(r"<think(?:ing)?>")
_ANSWER_KEY = re.compile(r"""(\\?["'])answer\1\s*+:\s*+""")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*+)"|'((?:[^'\\]|\\.)*+)\'""", re.DOTALL)
_FENCE = re.compile(r"```")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+-]*+")


def answer_spans(text: str, tag: str = "") -> list[list[Span]]:
    """Where to look, the likeliest first: each entry is a list of spans that are to be read together.

    Args:
        text: all that the model printed.
        tag: which encloses the dialect's answers, without brackets; used where it occurs.
    """
    spans = _after_thinking(text)
    spans = _between(text, "answer", spans) or spans
    spans = [_value_of_answer(text, *span) for span in spans]
    if tag and (tagged := _between(text, tag, spans)):
        return [tagged]
    fenced = [block for span in spans for block in _fenced(text, *span)]
    return [fenced, spans] if fenced else [spans]


def _after_thinking(text: str) -> list[Span]:
    start = max((found.end() for found in _THOUGHT.finditer(text)), default=0)
    if open_ := _THINKING.search(text, start):
        fail(text, f"cut off: the thinking from character {open_.start()} on never ends; the text ends", len(text))
    return [(start, len(text))]


def _between(text: str, tag: str, spans: list[Span]) -> list[Span]:
    opening, closing = f"<{tag}>", f"</{tag}>"
    found = []
    for start, end in spans:
        at = start
        while (open_ := text.find(opening, at, end)) >= 0:
            close = text.find(closing, open_, end)
            if close < 0:
                fail(text, f"cut off: {opening} at character {open_} is never closed; the text ends", end)
            found.append((open_ + len(opening), close))
            at = close + len(closing)
            if len(found) > MAX_SPANS:
                fail(text, f"more than {MAX_SPANS} {opening}", open_)
    return found


def _value_of_answer(text: str, start: int, end: int) -> Span:
    """Some models print a dictionary with their thinking and their answer, the latter as a string or as it is."""
    keys = list(_ANSWER_KEY.finditer(text, start, end))
    if not keys:
        return start, end
    at = keys[-1].end()
    quoted = _QUOTED.match(text, at, end)
    return quoted.span(1 if quoted[1] is not None else 2) if quoted else (at, end)


def _fenced(text: str, start: int, end: int) -> list[Span]:
    marks = [found.start() for found in _FENCE.finditer(text, start, end)]
    if len(marks) > 2 * MAX_SPANS:
        fail(text, f"more than {MAX_SPANS} code fences", marks[-1])
    blocks = [(_content(text, open_, close), close) for open_, close in zip(marks[::2], marks[1::2], strict=False)]
    if len(marks) % 2:
        # The last fence opens an answer that was cut off, or, if nothing follows, closes what the prompt opened.
        if text[_content(text, marks[-1], end) : end].strip():
            fail(text, f"cut off: the code fence at character {marks[-1]} is never closed; the text ends", end)
        if len(marks) == 1:
            blocks.append((start, marks[0]))
    return blocks


def _content(text: str, fence: int, end: int) -> int:
    language = _LANGUAGE.match(text, fence + 3, end)
    return language.end() if language else fence + 3
