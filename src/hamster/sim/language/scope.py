"""The sets of objects that words refer to in a scene. A set is a bit mask (an int), so an intersection is one `&`.

Relations are judged in the image, with margins: a relation holds, does not hold, or is unclear. A phrase may be used
only where it holds for its referent and clearly does not hold for any other object that fits its head.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import hypot

from hamster.sim.language.grammar import Grammar
from hamster.sim.scene import Scene

MARGIN = 0.05
"""Smallest distance, relative to the image, at which a word about positions distinguishes two objects."""
MIN_VISIBLE = 0.4
"""Smallest visible share of an object that commands mention."""

Spot = tuple[float, float, float]
"""(u, v) of an object's centre and its area, all relative to the image; v grows towards the viewer."""
ImageLayout = Mapping[str, Spot]


def _beside(along: float, across: float) -> bool | None:
    """Return whether an object is clearly on one side; None where unclear.

    Args:
        along: offset in the direction of that side.
        across: offset perpendicular to it.
    """
    if along < -0.02:
        return False
    return True if along >= MARGIN and abs(across) <= 1.5 * along else None


def _near(a: Spot, b: Spot) -> bool | None:
    distance = hypot(a[0] - b[0], a[1] - b[1])
    return True if distance <= 0.2 else False if distance >= 0.28 else None


RELATIONS: dict[str, Callable[[Spot, Spot], bool | None]] = {
    "left": lambda a, b: _beside(b[0] - a[0], a[1] - b[1]),
    "right": lambda a, b: _beside(a[0] - b[0], a[1] - b[1]),
    "front": lambda a, b: _beside(a[1] - b[1], a[0] - b[0]),
    "behind": lambda a, b: _beside(b[1] - a[1], a[0] - b[0]),
    "near": _near,
}
"""Whether object a is in a relation to landmark b: True, False, or None where people might disagree."""

EXTREMES: dict[str, tuple[int, float]] = {
    "leftmost": (0, -1.0),
    "rightmost": (0, 1.0),
    "nearest": (1, 1.0),
    "farthest": (1, -1.0),
    "biggest": (2, 1.0),
    "smallest": (2, -1.0),
    "robot_leftmost": (3, 1.0),
    "robot_rightmost": (3, -1.0),
    "robot_nearest": (4, -1.0),
}
"""The axis of `Scope.places` that a superlative ranks by, and the sign."""
SUPERLATIVES = ("leftmost", "rightmost", "nearest", "farthest", "biggest", "smallest")
"""Superlatives that are judged in the image, without the robot's point of view."""
WORLD_MARGIN_M = 0.06
"""Smallest distance on the table at which a word about the robot's sides distinguishes two objects."""


HALVES: dict[str, tuple[int, float, float]] = {
    "picture_left": (0, -1.0, 0.5),
    "picture_right": (0, 1.0, 0.5),
    "picture_bottom": (1, 1.0, 0.5),
    "picture_top": (1, -1.0, 0.5),
    "robot_left": (3, 1.0, 0.0),
    "robot_right": (3, -1.0, 0.0),
}
"""The axis of `Scope.places` of halves of the image and of the table, the sign, and the middle."""


SIMILAR_KINDS: Mapping[str, frozenset[str]] = {
    "cylinder": frozenset({"can", "candle"}),
    "can": frozenset({"cylinder"}),
    "candle": frozenset({"stick"}),
    "stick": frozenset({"candle"}),
    "cube": frozenset({"brick"}),
    "brick": frozenset({"cube", "tower", "book"}),
    "tower": frozenset({"brick"}),
    "bin": frozenset({"tray"}),
    "tray": frozenset({"bin"}),
    "ball": frozenset({"egg"}),
    "egg": frozenset({"ball"}),
}
"""Other kinds that may be called by a kind's name: where one is present, that kind does not count as absent."""


def between(a: Spot, b: Spot, c: Spot) -> bool | None:
    """Return whether a is between b and c in the image; None where unclear.

    Args:
        a, b, c: (u, v, area) of each.
    """
    du, dv = c[0] - b[0], c[1] - b[1]
    length = hypot(du, dv)
    if length < 4 * MARGIN:
        return None
    along = ((a[0] - b[0]) * du + (a[1] - b[1]) * dv) / length**2
    aside = abs((a[0] - b[0]) * dv - (a[1] - b[1]) * du) / length**2
    if 0.2 <= along <= 0.8 and aside <= 0.25:
        return True
    return False if not 0 < along < 1 or aside > 0.5 else None


def members(mask: int) -> list[int]:
    """Return the indices in a set."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


class Scope:
    """A scene with the sets of objects that a grammar's words and relations refer to.

    Args:
        scene: the scene.
        grammar: whose words are used.
        layout: (u, v, area) of objects in the image.
        visible: visible share of each object; None if all in the layout are visible.
        absent: names of imaginary objects.

    Attributes:
        things: the objects, by index; `index` has the indices by name, `names` the names.
        everything: the set of all objects.
        visible: the set of objects that are visible enough to be mentioned.
        absent: the set of imaginary objects.
        nouns, colours: the set that each word of the grammar fits.
        marks: the set of objects with each letter or picture.
        carriers: the sets of objects that have any "letter" or "picture".
        spots: (u, v, area) per object, None outside of the image.
        table_xy: (x, y) per object on the table, in metres, in the robot's frame.
    """

    def __init__(
        self, scene: Scene, grammar: Grammar, layout: ImageLayout, visible: Mapping[str, float] | None,
        absent: Collection[str] = (),
    ) -> None:  # fmt: skip
        things = scene.things
        self.things, self.grammar = things, grammar
        self.everything = (1 << len(things)) - 1
        self.index = {thing.name: i for i, thing in enumerate(things)}
        self.names = tuple(thing.name for thing in things)
        self.spots = [layout.get(name) for name in self.names]
        self.visible = self._where(
            [n in layout and (visible is None or visible.get(n, 0.0) >= MIN_VISIBLE) for n in self.names]
        )
        self.absent = self._where([name in absent for name in self.names])
        kinds = {kind: self._where([t.kind == kind for t in things]) for kind in {t.kind for t in things}}
        colours = {colour: self._where([t.colour == colour for t in things]) for colour in {t.colour for t in things}}
        self.nouns = _spread(kinds, grammar.nouns, grammar.kinds_by_noun)
        self.nouns.update(dict.fromkeys(grammar.generic, self.everything))
        self.colours = _spread(colours, grammar.colours, grammar.colours_by_word)
        self.marks = {mark: self._where([t.mark == mark for t in things]) for mark in {t.mark for t in things}}
        self.carriers = {
            "letter": self._where([t.mark is not None and len(t.mark) == 1 for t in things]),
            "picture": self._where([t.mark is not None and len(t.mark) > 1 for t in things]),
        }
        self.table_xy = [thing.xy for thing in things]
        self._volumes = [t.size[0] * t.size[1] * t.size[2] for t in things]
        self._related: dict[tuple[str, int], tuple[int, int]] = {}
        self._ranked: dict[tuple[str, int], list[int]] = {}

    @staticmethod
    def _where(flags: list[bool]) -> int:
        return sum(1 << i for i, flag in enumerate(flags) if flag)

    def names_of(self, mask: int) -> tuple[str, ...]:
        """Return the names of the objects in a set."""
        return tuple(name for i, name in enumerate(self.names) if mask >> i & 1)

    def related(self, relation: str, landmark: int, head: int) -> int:
        """Return the objects of a set that are in a relation to a landmark; empty if that is unclear for any of them.

        Args:
            relation: a key of `RELATIONS`.
            landmark: index of the landmark.
            head: bit set of objects.
        """
        judged = self._related.get((relation, landmark))
        if judged is None:
            judged = self._related[relation, landmark] = self._judge(
                lambda a: RELATIONS[relation](a, self._spot(landmark)), 1 << landmark
            )
        return head & judged[0] if not head & judged[1] else 0

    def between(self, first: int, second: int, head: int) -> int:
        """Return the objects of a set between two landmarks; empty if that is unclear for any of them.

        Args:
            first, second: indices of the landmarks.
            head: bit set of objects.
        """
        yes, unclear = self._judge(
            lambda a: between(a, self._spot(first), self._spot(second)), 1 << first | 1 << second
        )
        return head & yes if not head & unclear else 0

    def _spot(self, i: int) -> Spot:
        spot = self.spots[i]
        return (float("nan"),) * 3 if spot is None else spot

    def _judge(self, holds: Callable[[Spot], bool | None], landmarks: int) -> tuple[int, int]:
        """Return the sets for which a relation holds and for which it is unclear, both without the landmarks."""
        yes = unclear = 0
        for i, spot in enumerate(self.spots):
            if landmarks >> i & 1:
                continue
            verdict = None if spot is None else holds(spot)
            if verdict:
                yes |= 1 << i
            elif verdict is None:
                unclear |= 1 << i
        return yes, unclear

    def like(self, aspect: str, thing: int) -> int:
        """Return the set of objects that share an object's "colour", "kind" (or a similar kind) or "mark"."""
        of = self.things[thing]
        if aspect == "kind":
            kinds = {of.kind, *SIMILAR_KINDS.get(of.kind, ())}
            return self._where(
                [other.kind in kinds or of.kind in SIMILAR_KINDS.get(other.kind, ()) for other in self.things]
            )
        return self._where([getattr(other, aspect) == getattr(of, aspect) for other in self.things])

    def places(self, axis: int) -> list[float | None]:
        """Return each object's coordinate along an axis, None outside of the image.

        Args:
            axis: 0 and 1 are u and v, 2 is the area in the image; 3 is the distance to the left of the robot's x axis
                and 4 the distance from its base, in metres (the robot is at the origin and faces +x).
        """
        if axis < 3:
            return [None if spot is None else spot[axis] for spot in self.spots]
        numbers = [y if axis == 3 else hypot(x, y) for x, y in self.table_xy]
        return [None if spot is None else number for spot, number in zip(self.spots, numbers, strict=True)]

    def preferred(self, direction: str, among: int) -> int:
        """Return the half of a set that lies furthest in a direction, rounded up.

        Args:
            direction: a key of `EXTREMES` or `HALVES`, or "central" for those nearest to the middle column.
            among: bit set of objects; those that are not visible do not count.
        """
        axis, sign = EXTREMES.get(direction) or HALVES.get(direction, (0, 1.0, 0.5))[:2]
        places = self.places(axis)
        candidates = [(place, i) for i in members(among & self.visible) if (place := places[i]) is not None]
        candidates.sort(key=lambda pair: abs(pair[0] - 0.5) if direction == "central" else -sign * pair[0])
        return sum(1 << i for _, i in candidates[: (len(candidates) + 1) // 2])

    def ranked(self, extreme: str, head: int) -> list[int]:
        """Return the objects of a set from the most extreme on, as far as each is clearly apart from the next.

        Args:
            extreme: a key of `EXTREMES`.
            head: bit set of objects. With fewer than two, or any outside of the image, the result is empty.
        """
        ranked = self._ranked.get((extreme, head))
        if ranked is None:
            ranked = self._ranked[extreme, head] = self._rank(extreme, members(head))
        return ranked

    def _rank(self, extreme: str, things: list[int]) -> list[int]:
        if len(things) < 2 or any(self.spots[i] is None for i in things):
            return []
        axis, sign = EXTREMES[extreme]
        places = self.places(axis)
        things = sorted(things, key=lambda i: -sign * (places[i] or 0.0))
        for rank in range(len(things) - 1):
            if not self._clear(axis, sign, things[rank], things[rank + 1 :]):
                return things[:rank]
        return things

    def _clear(self, axis: int, sign: float, first: int, rest: list[int]) -> bool:
        """Return whether one object is clearly more extreme than the rest.

        Positions must differ by the margin; sizes by a third, both as areas in the image and as true volumes.
        """
        if axis > 2:
            places = self.places(axis)
            return all(sign * ((places[first] or 0.0) - (places[i] or 0.0)) >= WORLD_MARGIN_M for i in rest)
        value = self._spot(first)[axis]
        if axis < 2:
            return all(sign * (value - self._spot(i)[axis]) >= MARGIN for i in rest)
        pairs = [(value / self._spot(i)[2], self._volumes[first] / self._volumes[i]) for i in rest]
        return all(min(pair) >= 1.33 if sign > 0 else max(pair) <= 0.75 for pair in pairs)


def _spread(
    sets: Mapping[str, int], words: Mapping[str, tuple[str, ...]], meanings: Mapping[str, frozenset[str]]
) -> dict[str, int]:
    """Return the set that each word fits, for all words of the canonical ones in `sets`."""
    fits = {}
    for canonical in sets:
        for word in words.get(canonical, (canonical,)):
            fits[word] = sum(sets.get(meaning, 0) for meaning in meanings.get(word, (canonical,)))
    return fits
