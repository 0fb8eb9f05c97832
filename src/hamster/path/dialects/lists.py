"""Bare lists of points: [(0.25, 0.32), ...], [[375, 297], ...], [x0, y0, x1, y1], perhaps with <action> tags."""

from __future__ import annotations

from dataclasses import replace

from hamster.path.dialects.found import Group, Mark, Number, fail, join
from hamster.path.dialects.literals import Action, Node, Pair, regions

WRAPPERS = frozenset({"answer", "path", "points", "result", "trace", "trajectory", "waypoints"})


def read(text: str, start: int, end: int, actions: bool = False) -> list[Group]:
    """The answers: every list of points; where there is none, points and boxes with only commas between them.

    A single point beside a list is talk about it: "I go from (1, 2) to (3, 4): [(1, 2), (3, 4)]".

    Args:
        text: within which the answers stand between the characters `start` and `end`.
        actions: whether points may be followed by <action> tags.
    """
    whole: list[Group] = []
    loose: list[Group] = []
    before = start
    for node in regions(text, start, end):
        if not (marks := _marks(text, node)):
            continue
        if not actions and any(mark.event is not None for mark in marks):
            fail(text, "a gripper action; this dialect has none", node.at)
        if node.numbers:
            join(loose, marks, connected=not text[before : node.at].strip(" \t\r\n,;"))
            before = node.end
        else:
            whole.append(marks)
    return whole or loose


def flat(text: str, node: Node) -> Mark:
    """The point or box that a list of numbers is."""
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
    """The one list under a key that says that it is the answer; other keys may hold anything but numbers."""
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
