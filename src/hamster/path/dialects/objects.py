"""JSON objects with a key per point or box: [{"point_2d": [925, 618], "label": "cup"}, ...]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hamster.path.dialects.found import STATES, Group, Number, event_of, fail, join
from hamster.path.dialects.lists import flat
from hamster.path.dialects.literals import Node, Pair, Text, Value, regions
from hamster.path.path import Gripper

PLACES = frozenset({"point", "point_2d", "point_3d", "box", "box_2d", "bbox", "bbox_2d", "bbox_3d"})  # of any model
_ORDER = re.compile(r"(?:point|step|waypoint)?[ _-]?([0-9]{1,4})", re.IGNORECASE | re.ASCII)


def read(text: str, start: int, end: int, keys: Sequence[str]) -> list[Group]:
    """The answers: all that stands under one of these keys, in the order of the labels if those are numbers.

    A key that begins with `b` (bbox_2d, box_2d) holds a box, any other a point or a list of points.
    """
    groups: list[Group] = []
    before = start
    for node in regions(text, start, end):
        marks: Group = []
        _walk(text, node, keys, marks)
        if marks:
            single = node.opening == "{"  # a list of objects is an answer of its own
            join(groups, marks, connected=single and not text[before : node.at].strip(" \t\r\n,;"))
            before = node.end
    return [_in_order(group) for group in groups]


def _walk(text: str, node: Node, keys: Sequence[str], marks: Group) -> None:
    pairs = {item.key: item.value for item in node.items if isinstance(item, Pair)}
    if "bbox_3d" in pairs:
        fail(text, "boxes in space (bbox_3d) are no places on the image", node.at)
    if foreign := (PLACES & pairs.keys()).difference(keys):
        fail(text, f"{min(foreign)!r} is no key of this dialect: it has {', '.join(keys)}", node.at)
    for item in node.items:
        value = item.value if isinstance(item, Pair) else item
        if isinstance(item, Pair) and item.key in keys:
            marks += _under_key(text, item, pairs)
        elif isinstance(value, Node):
            _walk(text, value, keys, marks)


def _under_key(text: str, pair: Pair, siblings: dict[str, Value]) -> Group:
    value = pair.value
    if not isinstance(value, Node):
        fail(text, f"expected the numbers of {pair.key!r}", value.at)
    inner = value.items if all(isinstance(item, Node) for item in value.items) else [value]
    marks = [flat(text, node) for node in inner if isinstance(node, Node)]
    kind = "box" if pair.key.startswith("b") else "point"
    if not marks or any(mark.kind != kind for mark in marks):
        fail(text, f"expected the numbers of a {kind} under {pair.key!r}", value.at)
    label, event = _label(siblings), _event(text, siblings)
    return [replace(mark, label=label, event=event) for mark in marks]


def _label(siblings: dict[str, Value]) -> str:
    label = siblings.get("label")
    return label.value if isinstance(label, Text) else label.raw if isinstance(label, Number) else ""


def _event(text: str, siblings: dict[str, Value]) -> Gripper | None:
    said = siblings.get("gripper")
    if said is None:
        return event_of(_label(siblings))
    word = said.value.lower() if isinstance(said, Text) else "?"
    if word in ("none", "null", ""):
        return None
    if word not in STATES:
        fail(text, "the gripper is 'open', 'close' or 'none'; found something else", said.at)
    return STATES[word]


def _in_order(group: Group) -> Group:
    """Sorted by the labels if these count without a gap; otherwise as printed."""
    found = [_ORDER.fullmatch(mark.label) for mark in group]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) < len(group) or sorted(numbers) != list(range(min(numbers), min(numbers) + len(group))):
        return group
    return [mark for _, mark in sorted(zip(numbers, group, strict=True), key=lambda pair: pair[0])]
