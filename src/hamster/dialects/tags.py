"""Molmo's tags: <point x="61.5" y="40.4">, <points x1= y1= x2= y2=> and, since Molmo2, coords="image id x y ...".

A <points> tag is an answer of its own, single <point> tags strewn over the text are one answer together. In `coords`,
each image (or time) has its group: "1 1 299 338 2 532 381;2 3 649 154", the first number naming the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hamster.dialects.marks import MAX_MARKS, Group, Mark, NothingFoundError, Number, excerpt, fail

_TAG = re.compile(r"<(points?|tracks)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"""\s++([A-Za-z][A-Za-z0-9_]*+)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
_TAG_END = re.compile(r"\s*+(/?)>")
_AXIS = re.compile(r"([xy])([0-9]{0,4})")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)")
_WORD = re.compile(r"[^\s:,]++")
_IMAGE_BREAK = re.compile(r"[;\t]|\\t")

Attributes = dict[str, tuple[str, int]]  # by name: the value, and where it begins
Marks = Callable[[str, str, Attributes, int], Group]


def read_axes(text: str, start: int, end: int) -> list[Group]:
    """Return the answers of Molmo's first generation: x and y as attributes.

    Args:
        text: the model's output.
        start, end: the characters to search.
    """
    return _read(text, start, end, _axes)


def read_coords(text: str, start: int, end: int) -> list[Group]:
    """Return the answers of Molmo2: everything in the attribute `coords`.

    Args:
        text: the model's output.
        start, end: the characters to search.
    """
    return _read(text, start, end, _coords)


def _read(text: str, start: int, end: int, marks_of: Marks) -> list[Group]:
    single: Group = []
    groups: list[Group] = []
    at = start
    while tag := _TAG.search(text, at, end):
        attributes, at = _attributes(text, tag, end)
        if not attributes:  # another model's: <point>[[x, y]]</point>
            continue
        marks = marks_of(text, tag[1], attributes, tag.start())
        if tag[1] == "point":
            single += marks
        elif marks:
            groups.append(marks)
        if len(single) + sum(map(len, groups)) > MAX_MARKS:
            fail(text, f"more than {MAX_MARKS} points", tag.start())
    return groups + ([single] if single else [])


def _attributes(text: str, tag: re.Match[str], end: int) -> tuple[Attributes, int]:
    """Return the tag's attributes, and where its content ends."""
    values: Attributes = {}
    at = tag.end()
    while attribute := _ATTRIBUTE.match(text, at, end):
        if attribute[1] in values:
            fail(text, f"a second {attribute[1][:20]!r}", at)
        quoted = 2 if attribute[2] is not None else 3
        values[attribute[1]] = attribute[quoted], attribute.start(quoted)
        at = attribute.end()
    close = _TAG_END.match(text, at, end)
    closing = f"</{tag[1]}>"
    stop = at if close is None else close.end() if close[1] else text.find(closing, close.end(), end)
    if stop < 0 or (close is None and not _malformed(text, at, end)):
        fail(text, f"cut off: the tag at character {tag.start()} is never closed; the text ends", end)
    if close is None:
        fail(text, f"expected an attribute or the end of the tag, found {excerpt(text, at, end)}", at)
    return values, stop


def _malformed(text: str, at: int, end: int) -> bool:
    """Return whether a tag goes wrong before the text ends; if it has no end at all, it was cut off."""
    return ">" in text[at:end]


def _axes(text: str, tag: str, attributes: Attributes, at: int) -> Group:
    if "coords" in attributes:
        raise NothingFoundError(f'coords="..." is the form of molmo2, not this dialect\'s, at character {at}', text)
    points: dict[int, dict[str, Number]] = {}
    for name, (value, place) in attributes.items():
        if axis := _AXIS.fullmatch(name):
            points.setdefault(int(axis[2] or 0), {})[axis[1]] = _number(text, value, place)
    for axes in points.values():
        if len(axes) != 2:
            fail(text, f"{'y' if 'x' in axes else 'x'} is missing for a point", at)
    if not points:
        fail(text, f"<{tag}> has no coordinates", at)
    return [Mark("point", (axes["x"], axes["y"]), axes["x"].at) for _, axes in sorted(points.items())]


def _coords(text: str, tag: str, attributes: Attributes, at: int) -> Group:
    if "coords" not in attributes:
        raise NothingFoundError(f'x="..." y="..." is the form of molmo, not this dialect\'s, at character {at}', text)
    value, place = attributes["coords"]
    marks: Group = []
    begin = 0
    for stop in [*(separator.span() for separator in _IMAGE_BREAK.finditer(value)), (len(value), len(value))]:
        marks += _of_image(text, value[begin : stop[0]], place + begin)
        begin = stop[1]
    if tag == "tracks":
        return _one_track(text, marks, at)
    return marks


def _of_image(text: str, value: str, place: int) -> Group:
    if len(value) > 32 * MAX_MARKS:
        fail(text, f"more than {MAX_MARKS} points", place)
    words = [_number(text, word.group(), place + word.start()) for word in _WORD.finditer(value)]
    if not words:
        return []
    if len(words) % 3 != 1:
        fail(text, "expected the image and then three numbers a point: id, x and y", place)
    image = words[0].raw
    return [
        Mark("point", (x, y), id_.at, label=id_.raw, image=image)
        for id_, x, y in zip(words[1::3], words[2::3], words[3::3], strict=True)
    ]


def _one_track(text: str, marks: Group, at: int) -> Group:
    """Return the points of the one thing that was tracked, without their images: over time it has one path."""
    if len({mark.label for mark in marks}) > 1:
        fail(text, "the tracks of several things; a path is that of one", at)
    return [Mark("point", mark.numbers, mark.at) for mark in marks]


def _number(text: str, value: str, at: int) -> Number:
    if not _NUMBER.fullmatch(value.strip()):
        fail(text, f"expected a number, found {excerpt(value, 0, len(value))}", at)
    return Number(float(value), value.strip(), at)
