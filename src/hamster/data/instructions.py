"""Split texts given per frame into instructions of a whole episode and of some of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hamster.data.records import Instruction

MAX_INSTRUCTION_CHARS = 2000
"""The one limit on instructions: of readers, planners, the command line and both servers."""


def whole_and_parts(per_frame: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], tuple[Instruction, ...]]:
    """Return phrasings of the whole episode and, in order, the words that hold for some of its frames only.

    Args:
        per_frame: columns of T texts, each a phrasing of its own; "" where there is none. A text that stands at the
            first frame alone, with nothing after it, was said once and meant for all.
    """
    whole: dict[str, None] = {}
    parts: dict[Instruction, None] = {}
    for column in per_frame:
        runs = runs_of(column)
        if len(runs) == 1 and runs[0].first == 0 and runs[0].stop in (1, len(column)):
            whole[runs[0].text] = None
        else:
            parts |= dict.fromkeys(runs)
    return tuple(whole), tuple(sorted(parts, key=lambda part: (part.first, part.stop)))


def runs_of(column: Sequence[str]) -> list[Instruction]:
    """Return each stretch of frames with one and the same text that is not empty."""
    runs, at = [], 0
    for text, frames in groupby(text.strip() for text in column):
        stop = at + len(list(frames))
        if text:
            runs.append(Instruction(text, at, stop))
        at = stop
    return runs
