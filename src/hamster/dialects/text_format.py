"""A dialect as data: the order of its axes, its scale, and the form of its text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeAlias

from hamster.dialects import lists, locs, objects, tags
from hamster.dialects.answer import Answer, Box, Point
from hamster.dialects.envelope import answer_spans
from hamster.dialects.marks import WORDS, Group, Mark, NothingFoundError, Number, fail
from hamster.dialects.scanner import MAX_CHARACTERS, MAX_POINTS, sayable_events
from hamster.dialects.size import ScaledSize, Size, SizeNeededError, checked_size
from hamster.path.path import Gripper, Path2D

Form: TypeAlias = Literal["list", "objects", "axes", "coords", "locs"]
MIN_DEPTH_M = 0.001  # what is printed with three decimals must not become zero


@dataclass(frozen=True)
class TextFormat:
    """The text format in which a family of models writes points.

    `item` and `frame` make a text: `frame` holds the items, joined by `between`; an item may name {x} and {y}, the
    depth {d} (", 0.512", or nothing) or {depth} (the same under `depth_key`), the number of its coordinates {n}, its
    place from zero {k} or from one {i}, and the gripper's action as {gripper} (close, open or none), {label} (the
    action, else {i}), {tag} or {word}.

    Attributes:
        forms: in which answers are read, the likeliest first.
        scale: by which coordinates are divided; None for pixels of the image that `resize` makes of the original.
        digits: the format of a coordinate; one without decimals is read without decimals, too, unless `fractions`.
        top: the largest coordinate where that is not the scale.
        keys: of JSON objects; those that begin with b hold boxes.
        tag: <tag> that encloses an answer; `tagged` if nothing else is an answer.
        after: words that the answer follows, where they occur.
        depth_key: of the depth beside a point in JSON objects.
        corners: whether two tuples in no list may be a box (Qwen's, whose box tags are special tokens).
        own: what no other dialect's answers have in them, a regular expression; "" if there is no such thing.
        centred: whether four numbers in parentheses are a box's centre, width and height, not its corners.
    """

    forms: Sequence[Form]
    item: str
    frame: str
    between: str = ", "
    scale: float | None = 1
    digits: str = ".3f"
    order: Literal["xy", "yx"] = "xy"
    resize: Callable[[Size], Size] | None = None
    fractions: bool = False
    top: float | None = None
    keys: Sequence[str] = ()
    tag: str = ""
    tagged: bool = False
    after: str = ""
    depth_key: str = ""
    corners: bool = False
    own: str = ""
    centred: bool = False

    @property
    def says_depth(self) -> bool:
        """True if the format has a field for depth."""
        return "{d}" in self.item or "{depth}" in self.item

    @property
    def says_gripper(self) -> bool:
        """True if the format has a field for gripper actions."""
        return any(name in self.item for name in ("{gripper}", "{label}", "{tag}", "{word}"))

    @property
    def quantum(self) -> float:
        """The smallest difference of two printed coordinates."""
        return 10.0 ** -int(self.digits[1]) if self.digits.endswith("f") else 1.0

    def resolution(self, size: Size | None) -> tuple[float, float]:
        """Return the smallest representable steps along x and y, relative to the image."""
        width, height = self.extent(size)
        return self.quantum / width, self.quantum / height

    def render(self, path: Path2D, size: Size | None = None) -> str:
        """Return the path as text; ValueError if it has too many waypoints, or a size is needed and missing."""
        events = sayable_events(path)
        width, height = self.extent(size)
        items = []
        for k, (u, v) in enumerate(path.uv.tolist()):
            metres = "" if path.depth_m is None else f"{max(MIN_DEPTH_M, float(path.depth_m[k])):.3f}"
            depth = metres and f", {metres}"
            keyed = metres and f', "{self.depth_key}": {metres}'
            place = {"x": self._digits(u * width), "y": self._digits(v * height), "d": depth, "depth": keyed}
            items.append(self.item.format(**place, n=3 if depth else 2, k=k, i=k + 1, **_sayings(events.get(k), k)))
        return self.frame.format(self.between.join(items))

    def read(self, text: str, size: Size | None = None) -> Answer:
        """Return the answer that the text holds.

        Raises:
            PlanError: if it is anything but one answer; says what is wrong at which character.
            SizeNeededError: if the text has this form, but is in pixels, and the size is missing.
        """
        marks = self._marks(text)
        self._check(text, marks)
        width, height = self.extent(size)
        points = tuple(self._point(text, m, width, height) for m in marks if m.kind == "point")
        return Answer(text, points, tuple(self._box(text, m, width, height) for m in marks if m.kind == "box"))

    def _marks(self, text: str) -> Group:
        """Return the marks of the one answer; NothingFoundError if there is none in this dialect's forms."""
        if len(text) > MAX_CHARACTERS:
            fail(text, f"the answer is longer than {MAX_CHARACTERS} characters", MAX_CHARACTERS)
        if self.tagged and f"<{self.tag}>" not in text:
            raise NothingFoundError(f"no <{self.tag}> tag at character 0", text)
        for spans in answer_spans(text, self.tag):
            for form in self.forms:
                readings = (_READERS[form](self, text, *part) for span in spans for part in self._after(text, *span))
                if groups := list(chain.from_iterable(readings)):
                    return _the_one(text, groups)
        raise NothingFoundError(f"no points and no box, up to character {len(text)}", text)

    def _after(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        """Return the spans of the first list of lists after each occurrence of the dialect's words."""
        parts = []
        at = text.find(self.after, start, end) if self.after else -1
        while at >= 0:
            close = text.find("]]", at, end)
            stop = close + 2 if close >= 0 else end
            parts.append((at + len(self.after), stop))
            at = text.find(self.after, stop, end)
        return parts or [(start, end)]

    def place(self, uv: tuple[float, float], size: Size | None = None) -> tuple[str, str]:
        """Return a place's two numbers, in the order in which this dialect says them."""
        u, v = (self._digits(value * extent) for value, extent in zip(uv, self.extent(size), strict=True))
        return (u, v) if self.order == "xy" else (v, u)

    def extent(self, size: Size | None) -> tuple[float, float]:
        """Return the divisors of x and y; SizeNeededError as `read`."""
        if self.resize is None:
            return self.scale or 1, self.scale or 1
        if size is None:
            raise SizeNeededError("this dialect counts pixels: say how large the image is (--image-size WxH)")
        return size if isinstance(size, ScaledSize) else self.resize(checked_size(size))

    def _digits(self, value: float) -> str:
        if self.digits.endswith("f"):
            return format(value, self.digits)
        return format(min(round(value), int(self.top) if self.top else round(value)), self.digits)

    def _check(self, text: str, marks: Group) -> None:
        """Check everything that does not depend on the size of the image."""
        if len(marks) > MAX_POINTS:
            fail(text, f"more than {MAX_POINTS} points", marks[MAX_POINTS].at)
        places = [n for mark in marks for n in (mark.numbers if mark.kind == "box" else mark.numbers[:2])]
        # Fractions of one are the most frequent other convention; here they would all be the image's corner.
        if self.fractions and (odd := next((n for n in places if 0 < abs(n.value) < 1), None)):
            fail(text, f"{odd.raw[:20]} is a fraction of 1; this dialect counts to {self.scale:g}", odd.at)
        for number in places:
            if not (self.fractions or self.digits.endswith("f") or number.value.is_integer()):
                fail(text, f"{number.raw[:20]} is not a whole number, and this dialect counts in those", number.at)
        for mark in marks:
            if mark.kind == "point" and len(mark.numbers) == 3:
                self._check_depth(text, mark)

    def _check_depth(self, text: str, mark: Mark) -> None:
        if not self.says_depth:
            fail(text, "a point with three numbers; this dialect has two", mark.at)
        depth = mark.numbers[2]
        if not 0 < depth.value < math.inf:
            fail(text, f"depth = {depth.raw[:20]} is not a distance in metres", depth.at)

    def _point(self, text: str, mark: Mark, width: float, height: float) -> Point:
        uv = self._uv(text, mark.numbers[:2], width, height)
        depth_m = mark.numbers[2].value if len(mark.numbers) == 3 else None
        return Point(uv, depth_m, mark.event, mark.label, mark.image)

    def _box(self, text: str, mark: Mark, width: float, height: float) -> Box:
        (u0, v0), (u1, v1) = (self._uv(text, mark.numbers[i : i + 2], width, height) for i in (0, 2))
        if self.centred and text[mark.at] == "(":
            w, h = u1 / 2, v1 / 2
            u0, v0, u1, v1 = max(u0 - w, 0), max(v0 - h, 0), min(u0 + w, 1), min(v0 + h, 1)
        if u1 < u0 or v1 < v0:
            fail(text, "a box whose second corner is not to the lower right of its first", mark.at)
        return Box((u0, v0, u1, v1), mark.label)

    def _uv(self, text: str, pair: Sequence[Number], width: float, height: float) -> tuple[float, float]:
        x, y = pair if self.order == "xy" else pair[::-1]
        return self._relative(text, x, "x", width), self._relative(text, y, "y", height)

    def _relative(self, text: str, number: Number, name: str, extent: float) -> float:
        value, top = number.value, self.top or extent
        slack = 1e-9 if self.top else self.quantum + 1e-9  # rounding may end just outside
        if not -slack <= value <= top + slack:  # NaN fails, too
            fail(text, f"{name} = {number.raw[:20]} is not in [0, {top:g}]", number.at)
        return min(max(value / extent, 0.0), 1.0)


def _sayings(event: Gripper | None, k: int) -> dict[str, str]:
    if event is None:
        return {"gripper": "none", "label": str(k + 1), "tag": "", "word": ""}
    words = WORDS[event]
    return {
        "gripper": words.split()[0].lower(),
        "label": words,
        "tag": f", <action>{words}</action>",
        "word": f" {words.lower()}",
    }


def _the_one(text: str, groups: list[Group]) -> Group:
    """Return the marks of the answer; printed twice is printed once."""
    first = [mark.meaning for mark in groups[0]]
    for group in groups[1:]:
        if [mark.meaning for mark in group] != first:
            fail(text, f"an answer unlike the one at character {groups[0][0].at}: which is meant?", group[0].at)
    return groups[0]


_READERS: dict[Form, Callable[[TextFormat, str, int, int], list[Group]]] = {
    "list": lambda text_format, text, start, end: lists.read(
        text, start, end, text_format.tag == "ans", text_format.corners
    ),
    "objects": lambda text_format, text, start, end: objects.read(
        text, start, end, text_format.keys, text_format.depth_key, text_format.order
    ),
    "axes": lambda _, text, start, end: tags.read_axes(text, start, end),
    "coords": lambda _, text, start, end: tags.read_coords(text, start, end),
    "locs": lambda _, text, start, end: locs.read(text, start, end),
}
