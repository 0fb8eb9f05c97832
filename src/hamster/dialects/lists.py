"""Bare lists of points: [(0.25, 0.32), ...], [[375, 297], ...], [x0, y0, x1, y1], perhaps with <action> tags."""

from __future__ import annotations

import re
from dataclasses import replace

from hamster.dialects.literals import Action, Node, Pair, regions
from hamster.dialects.marks import MAX_MARKS, Group, Mark, Number, fail, join

WRAPPERS = frozenset({"answer", "path", "points", "result", "trace", "trajectory", "waypoints"})


# Qwen-VL's <box>, Qwen2-VL's <|box_start|>, InternVL's <box>[[...]]</box>: the two pairs in one are corners, no path.
_BOX = re.compile(r"<(\|?)(b?box|quad|poly(?:gon)?)(?:_start)?\1>", re.IGNORECASE)


def read(text: str, start: int, end: int, actions: bool = False, corners: bool = False) -> list[Group]:
    """Return the answers: every list of points; where there is none, points and boxes with only commas between them.

    A single point beside a list is talk about it: "I go from (1, 2) to (3, 4): [(1, 2), (3, 4)]". Boxes in tags are
    one answer together, if there is no other.

    Args:
        text: within which the answers stand between the characters `start` and `end`.
        actions: whether points may be followed by <action> tags.
        corners: whether two bare tuples may be a box whose tags the tokenizer left out.
    """
    whole: list[Group] = []
    loose: list[Group] = []
    boxes: Group = []
    at = start
    while tag := _BOX.search(text, at, end):
        _read_lists(text, at, tag.start(), actions, whole, loose)
        at = _boxes(text, tag, end, boxes)
    _read_lists(text, at, end, actions, whole, loose)
    if corners and not whole:
        for group in loose:
            if len(group) == 2 and all(mark.kind == "point" and text[mark.at] == "(" for mark in group):
                fail(text, "two tuples in no list may be the corners of a box; a path is a list", group[0].at)
    return whole or loose or ([boxes] if boxes else [])


def _boxes(text: str, tag: re.Match[str], end: int, boxes: Group) -> int:
    """Add the boxes in a tag, and return where it ends."""
    closing = re.compile(rf"<{re.escape(tag[1])}/?{tag[2]}(?:_end)?{re.escape(tag[1])}>", re.IGNORECASE)
    close = closing.search(text, tag.end(), end)
    if close is None:
        fail(text, f"cut off: {tag[0]} at character {tag.start()} is never closed; the text ends", end)
    if tag[2].lower() not in ("box", "bbox"):
        fail(text, "a polygon is no path, and no box", tag.start())
    marks = [mark for node in regions(text, tag.end(), close.start()) for mark in _marks(text, node, inside=True)]
    pairs = all(mark.kind == "point" and len(mark.numbers) == 2 for mark in marks)
    if marks and pairs and len(marks) % 2 == 0:
        marks = [Mark("box", a.numbers + b.numbers, a.at) for a, b in zip(marks[::2], marks[1::2], strict=True)]
    if not marks or any(mark.kind != "box" for mark in marks):
        fail(text, f"expected the two corners of a box in {tag[0]}", tag.end())
    boxes += marks
    if len(boxes) > MAX_MARKS:
        fail(text, f"more than {MAX_MARKS} boxes", tag.start())
    return close.end()


def _read_lists(text: str, start: int, end: int, actions: bool, whole: list[Group], loose: list[Group]) -> None:
    """Add the lists of points, and the points and boxes in no list, between two characters."""
    before = start
    first = len(loose)
    for node in regions(text, start, end):
        if not (marks := _marks(text, node)):
            continue
        if not actions and any(mark.event is not None for mark in marks):
            fail(text, "a gripper action; this dialect has none", node.at)
        if node.numbers:
            connected = len(loose) > first and not text[before : node.at].strip(" \t\r\n,;")
            join(loose, marks, connected)
            before = node.end
        else:
            whole.append(marks)


def flat(text: str, node: Node) -> Mark:
    """Return the point or box that a list of numbers is."""
    numbers = node.numbers
    if not 2 <= len(numbers) <= 4:
        fail(text, "expected a point of 2 or 3 numbers or a box of 4", node.at)
    return Mark("box" if len(numbers) == 4 else "point", numbers, node.at)


def _marks(text: str, node: Node, inside: bool = False) -> Group:
    if node.opening == "{":
        return _of_dictionary(text, node)
    if node.numbers:
        # A number alone in brackets is prose: a footnote, a count.
        return [] if len(node.numbers) == 1 and not inside else [flat(text, node)]
    if not any(isinstance(item, Node) for item in node.items):
        return []
    if len(node.items) == 1 and isinstance(node.items[0], Node):
        return _marks(text, node.items[0], inside=True)
    return _sequence(text, node)


def _sequence(text: str, node: Node) -> Group:
    marks: Group = []
    for item in node.items:
        if isinstance(item, Action):
            _act(text, marks, item)
        elif isinstance(item, Node) and (item.opening == "{" or item.numbers):
            marks += _marks(text, item, inside=True)
        else:
            at = item.value.at if isinstance(item, Pair) else item.at
            fail(text, "expected a point, all of one path", at)
    return marks


def _act(text: str, marks: Group, action: Action) -> None:
    if not marks:
        fail(text, "a gripper action before any point", action.at)
    if marks[-1].event is not None:
        fail(text, f"a second gripper action for point {len(marks)}", action.at)
    marks[-1] = replace(marks[-1], event=action.event)


def _of_dictionary(text: str, node: Node) -> Group:
    """Return the one list under a key that says that it is the answer; other keys may hold anything but numbers."""
    marks: Group = []
    for item in node.items:
        value = item.value if isinstance(item, Pair) else item
        if not isinstance(value, Node):
            continue
        if isinstance(item, Pair) and item.key not in WRAPPERS and _has_numbers(value):
            fail(text, f"this dialect knows no key {item.key[:20]!r}", value.at)
        if marks and _has_numbers(value):
            fail(text, "a second path", value.at)
        marks += _marks(text, value)
    return marks


def _has_numbers(node: Node) -> bool:
    values = [item.value if isinstance(item, Pair) else item for item in node.items]
    return any(_has_numbers(v) if isinstance(v, Node) else isinstance(v, Number) for v in values)
