"""Refusals: answers that the requested object is not in the image."""

from __future__ import annotations

import re

from hamster.dialects.envelope import Span, answer_spans
from hamster.path.error import PlanError

PHRASE = "not in view"
_PHRASES = frozenset({PHRASE, "there are none"})  # the second is Molmo's own
_TAGS = re.compile(r"</?[a-z]{1,20}>")
_LONGEST = 10_000  # a longer text is no refusal


def refuses(text: str, refusal: str) -> bool:
    """Return whether an answer says `refusal`, its dialect's own way, or a phrase, within tags or not, and no more."""
    text = text.strip()
    if len(text) > _LONGEST or any(character.isdigit() for character in text[-40:]):
        return False
    try:
        readings = answer_spans(text)
    except PlanError:
        return False
    return text == refusal or any(_said(text, spans) in _PHRASES for spans in readings)


def _said(text: str, spans: list[Span]) -> str:
    words = " ".join(text[start:end] for start, end in spans)
    return _TAGS.sub("", words).strip(" \t\r\n\f.\"'").lower()
