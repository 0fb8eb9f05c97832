"""JSON objects with a key per point or box: [{"point_2d": [925, 618], "label": "cup"}, ...]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hamster.dialects.lists import flat
from hamster.dialects.literals import Node, Pair, Text, Value, regions
from hamster.dialects.marks import STATES, Group, Number, event_of, fail, join
from hamster.path.path import Gripper

# Of any model.
PLACES = frozenset({
    "point", "point_2d", "point_3d", "box_2d", "bbox_2d",
    "bbox_3d", "box_3d", "bounding_box_3d",
})  # fmt: skip
BOXES = ("box", "boxes", "bbox", "bounding_box")  # in whatever order the dialect has
_IN_SPACE = ("bbox_3d", "box_3d", "bounding_box_3d")
_SIDES = ("xmin", "ymin", "xmax", "ymax")  # of a box that names them
_ORDER = re.compile(r"(?:point|step|waypoint)?[ _-]?([0-9]{1,4})", re.IGNORECASE | re.ASCII)


def read(text: str, start: int, end: int, keys: Sequence[str], depth_key: str = "", order: str = "xy") -> list[Group]:
    """Return the answers: all that stands under one of these keys, in the order of the labels if those are numbers.

    A key that begins with `b` (bbox_2d, box_2d) holds a box, any other a point or a list of points. The keys of boxes
    that no model has to itself (box, bbox) are read in every dialect.

    Args:
        text: within which the answers stand between the characters `start` and `end`.
        keys: of points and boxes.
        depth_key: whose number beside a point is its depth, "" if there is none.
        order: of the axes of boxes that name their sides.
    """
    groups: list[Group] = []
    before = start
    for node in regions(text, start, end):
        marks: Group = []
        _walk(text, node, _Keys((*keys, *BOXES), depth_key, order), marks)
        if marks:
            single = node.opening == "{"  # a list of objects is an answer of its own
            join(groups, marks, connected=single and not text[before : node.at].strip(" \t\r\n,;"))
            before = node.end
    return [_in_order(group) for group in groups]


class _Keys(NamedTuple):
    places: Sequence[str]
    depth: str
    order: str


def _walk(text: str, node: Node, keys: _Keys, marks: Group) -> None:
    pairs = {item.key: item.value for item in node.items if isinstance(item, Pair)}
    if spatial := next((key for key in _IN_SPACE if key in pairs), ""):
        fail(text, f"boxes in space ({spatial}) are no places on the image", node.at)
    if foreign := (PLACES & pairs.keys()).difference(keys.places):
        fail(
            text, f"{min(foreign)!r} is no key of this dialect: it has {', '.join(keys.places[: -len(BOXES)])}", node.at
        )
    for item in node.items:
        value = item.value if isinstance(item, Pair) else item
        if isinstance(item, Pair) and item.key in keys.places and (isinstance(value, Node) or item.key not in BOXES):
            marks += _under_key(text, item, pairs, keys)
        elif isinstance(value, Node):
            _walk(text, value, keys, marks)


def _under_key(text: str, pair: Pair, siblings: dict[str, Value], keys: _Keys) -> Group:
    value = pair.value
    if not isinstance(value, Node):
        fail(text, f"expected the numbers of {pair.key!r}", value.at)
    if value.opening == "{":
        value = _by_sides(text, value, keys.order)
    inner = value.items if all(isinstance(item, Node) for item in value.items) else [value]
    marks = [flat(text, node) for node in inner if isinstance(node, Node)]
    kind = "box" if pair.key.startswith("b") else "point"
    if not marks or any(mark.kind != kind for mark in marks):
        fail(text, f"expected the numbers of a {kind} under {pair.key!r}", value.at)
    label, event = _label(siblings), _event(text, siblings)
    if keys.depth in siblings and kind == "point":
        depth = siblings[keys.depth]
        if not isinstance(depth, Number) or len(marks) != 1 or len(marks[0].numbers) != 2:
            fail(text, f"expected one point and one number under {keys.depth!r}", depth.at)
        marks = [replace(marks[0], numbers=(*marks[0].numbers, depth))]
    return [replace(mark, label=label, event=event) for mark in marks]


def _by_sides(text: str, node: Node, order: str) -> Node:
    """Return the list of numbers that a box with named sides is, in the dialect's order."""
    sides = {item.key.lower().replace("_", ""): item.value for item in node.items if isinstance(item, Pair)}
    numbers = [sides.get(name) for name in (_SIDES if order == "xy" else ("ymin", "xmin", "ymax", "xmax"))]
    if len(sides) != len(numbers) or not all(isinstance(number, Number) for number in numbers):
        fail(text, f"expected the numbers of a box, or its {', '.join(_SIDES)}", node.at)
    return Node("[", node.at, node.end, [number for number in numbers if number is not None])


def _label(siblings: dict[str, Value]) -> str:
    label = siblings.get("label")
    return label.value if isinstance(label, Text) else label.raw if isinstance(label, Number) else ""


def _event(text: str, siblings: dict[str, Value]) -> Gripper | None:
    stated = siblings.get("gripper")
    if stated is None:
        return event_of(_label(siblings))
    word = stated.value.lower() if isinstance(stated, Text) else "?"
    if word in ("none", "null", ""):
        return None
    if word not in STATES:
        fail(text, "the gripper is 'open', 'close' or 'none'; found something else", stated.at)
    return STATES[word]


def _in_order(group: Group) -> Group:
    """Return the marks sorted by their labels if these count without a gap; otherwise as printed."""
    orders = [_ORDER.fullmatch(mark.label) for mark in group]
    numbers = [int(match[1]) for match in orders if match]
    if len(numbers) < len(group) or sorted(numbers) != list(range(min(numbers), min(numbers) + len(group))):
        return group
    return [mark for _, mark in sorted(zip(numbers, group, strict=True), key=lambda pair: pair[0])]
