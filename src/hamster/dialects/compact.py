"""Whole thousandths in three digits, nothing between the numbers: the fewest tokens per path for a language model.

    254317c560402o.

is (0.254, 0.317), where the gripper closes, then (0.560, 0.402), where it opens. With depth, in millimetres, a waypoint
is `254317-00812`: either all have one or none. The full stop says that nothing was cut off. For new fine-tunes: a
tokenizer that takes digits one by one, like Qwen's, needs less than half as many tokens as for HAMSTER's own text.
"""

from __future__ import annotations

import re

import numpy as np

from hamster.dialects.marks import NothingFoundError, fail
from hamster.dialects.scanner import MAX_CHARACTERS, MAX_POINTS, sayable_events
from hamster.path.path import Gripper, Path2D

LEVELS = 1000
DEEPEST_MM = 99_999
_POINT = r"[0-9]{6}(?:-[0-9]{5})?+[co]?+"
_ANSWER = re.compile(rf"(?<!\S)(?:{_POINT})++\.(?!\S)")
_PARTS = re.compile(r"([0-9]{3})([0-9]{3})(?:-([0-9]{5}))?([co]?)")
_SOME_DEPTH = "-(?:" + "|".join(f"{'0' * zeros}[1-9][0-9]{{{4 - zeros}}}" for zeros in range(4)) + "|0000[1-9])"
_STATES = {"c": Gripper.CLOSED, "o": Gripper.OPEN}


def render(path: Path2D) -> str:
    """Return the path as text; ValueError if it has too many waypoints or is over 99.999 m deep."""
    events = sayable_events(path)
    depths = [""] * len(path) if path.depth_m is None else [_depth(depth_m) for depth_m in path.depth_m.tolist()]
    points = (place(u, v) + depths[i] + _letter(events.get(i)) for i, (u, v) in enumerate(path.uv.tolist()))
    return "".join(points) + "."


def place(u: float, v: float) -> str:
    """Return a place as six digits."""
    return "".join(f"{min(round(value * LEVELS), LEVELS - 1):03d}" for value in (u, v))


def parse(text: str) -> Path2D:
    """Return the one path in a model's answer; PlanError, with the text and the place, if it is anything else."""
    if len(text) > MAX_CHARACTERS:
        fail(text, f"the answer is longer than {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    answers = list(_ANSWER.finditer(text))
    if not answers:
        raise NothingFoundError(f"no waypoints of six digits up to a full stop, up to character {len(text)}", text)
    for other in answers[1:]:
        if other[0] != answers[0][0]:
            fail(text, f"an answer unlike the one at character {answers[0].start()}: which is meant?", other.start())
    points = list(_PARTS.finditer(answers[0][0]))
    if len(points) > MAX_POINTS:
        fail(text, f"more than {MAX_POINTS} points", answers[0].start() + points[MAX_POINTS].start())
    return _path(text, points, answers[0].start())


def grammar(waypoints: int) -> str:
    """Return a regular expression for paths of at most so many waypoints; see `regex.grammar_of`."""
    forms = (f"(?:[0-9]{{6}}{depth}[co]?){{1,{waypoints}}}\\." for depth in ("", _SOME_DEPTH))
    return f"(?:{'|'.join(forms)})"


def _path(text: str, points: list[re.Match[str]], start: int) -> Path2D:
    depths = [int(point[3]) / 1000 for point in points if point[3]]
    if depths and len(depths) < len(points):
        fail(text, f"{len(depths)} of {len(points)} points have a depth: all or none", start)
    if 0 in depths:
        fail(text, "depth = 0 is not a distance", start)
    states = [Gripper.UNKNOWN]
    for point in points:
        states.append(_STATES.get(point[4], states[-1]))
    uv = np.array([(int(point[1]), int(point[2])) for point in points]) / LEVELS
    return Path2D(uv, np.array(states[1:], np.int8), np.array(depths) if depths else None)


def _letter(event: Gripper | None) -> str:
    return next((letter for letter, state in _STATES.items() if state is event), "")


def _depth(depth_m: float) -> str:
    millimetres = max(1, round(depth_m * 1000))
    if millimetres > DEEPEST_MM:
        raise ValueError(f"a depth of {depth_m:.1f} m is too large for this dialect; at most {DEEPEST_MM / 1000} m")
    return f"-{millimetres:05d}"
