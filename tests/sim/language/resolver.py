"""An independent reader of noun phrases: regular expressions and brute force, no margins.

Where the generator is right, what it says of one thing is true of that thing and of nothing else even when every
near tie is decided strictly.
"""

from __future__ import annotations

import re
from math import hypot

from hamster.data.knowledge import facts
from hamster.sim.language import Grammar, ImageLayout
from hamster.sim.scene import Scene, Thing

_IS = r"(?:that is |which is |standing )?"
_SIDE = r"(?:to the |on the )?{0} (?:hand )?(?:side )?of"
RELATIONS = {
    "left": rf"{_IS}{_SIDE.format('left')}",
    "right": rf"{_IS}{_SIDE.format('right')}",
    "front": rf"{_IS}(?:in front of|nearer to the camera than|closer to us than|before)",
    "behind": rf"{_IS}(?:behind|in back of|at the back of|farther from the camera than)",
    "near": rf"{_IS}(?:right next to|next to|near|beside|close to|by|in the vicinity of|closest to|nearest to|nearest|"
    r"with the least distance to)",
}
AFTER = {
    "left": r"(?:on the left|on the far left|farthest to the left|at the left end)",
    "right": r"(?:on the right|on the far right|farthest to the right|at the right end)",
    "front": r"(?:(?:closest|nearest) to (?:the camera|us)|at the front)",
    "behind": r"(?:(?:farthest|furthest) (?:away )?from (?:the camera|us)|at the back)",
    "big": r"that is biggest",
    "small": r"that is smallest",
}
BEFORE = {
    "left": r"(?:leftmost|left most|left)",
    "right": r"(?:rightmost|right most|right)",
    "front": r"(?:nearest|closest|frontmost|front)",
    "behind": r"(?:farthest|furthest|rearmost|most distant)",
    "big": r"(?:biggest|bigger|big|largest|large|huge)",
    "small": r"(?:smallest|smaller|small|little|tiniest|tiny)",
}
MARKED = (
    r"(?P<head>.+) (?:with the letter|with letter|with a letter|marked|labelled|that says|that shows the letter|"
    r"showing the letter) (?P<mark>\w)",
    r"(?P<head>.+) (?:with the|with an?|that shows an?|showing an?|that has an?|with the picture of an?) "
    r"(?P<mark>\w+)(?: on it)?",
    r"(?:the )?letter (?P<mark>\w)",
    r"the picture of an? (?P<mark>\w+)",
)
FACTS = {
    "colour": r"(.+) (?:that has|with|in|which is) the colour of (?P<words>.+)",
    "kind": r"(?:the kind of |the )(.+?) (?:that|which) (?P<words>.+)",
    "mark": r"(.+?) (?:with|that shows|showing) (?P<words>.+)",
}
LANDMARK = r"((?!the (?:camera|robot|centre|image)\b|the picture\b(?! of an? ))the .+|letter \w|[a-z]+ [A-Z])"
HALVES = {
    "left": r"(?:on the left side of|in the left half of|left of the centre of) the (?:picture|image)",
    "right": r"(?:on the right side of|in the right half of|right of the centre of) the (?:picture|image)",
    "behind": r"in the (?:upper half|top half|upper part) of the (?:picture|image)",
    "front": r"in the (?:lower half|bottom half|lower part) of the (?:picture|image)",
    "robot left": r"(?:on|to) (?:the robot's|your) left(?: side| hand side)?",
    "robot right": r"(?:on|to) (?:the robot's|your) right(?: side| hand side)?",
}
ROBOT = {
    "robot left": (
        r"(.+) farthest to (?:the robot's|your) left",
        r"the leftmost (.+) from (?:the robot's|your) point of view",
    ),
    "robot right": (
        r"(.+) farthest to (?:the robot's|your) right",
        r"the rightmost (.+) from (?:the robot's|your) point of view",
    ),
    "robot near": (r"(.+) (?:nearest|closest) to (?:the robot|you)",),
}
MIDDLE = (r"the (?:middle|central|centre) (.+)", r"(.+?) (?:that is )?in the (?:middle|centre)(?: of the row)?")
NEGATED = (
    r"(?P<head>.+) (?:that is not|that isn't|which is not|of another colour than) (?P<colour>\w+)",
    r"the not (?P<colour>\w+) (?P<head>.+)",
    r"(?P<head>.+) (?:that|which) is neither (?P<colour>\w+) nor (?P<shade>\w+)",
    r"(?P<head>.+) that is not (?P<colour>\w+) and not (?P<shade>\w+)",
)
ORDER = {"first": 0, "second": 1, "third": 2}


class Resolver:
    """Reads phrases about one scene."""

    def __init__(self, scene: Scene, layout: ImageLayout, grammar: Grammar) -> None:
        self.things, self.layout, self.grammar = scene.things, layout, grammar

    def resolve(self, phrase: str) -> set[str]:
        """The names of all things that the phrase may mean."""
        contrast = re.fullmatch(rf"(.+?) (?:and not|but not|rather than|instead of) {LANDMARK}", phrase)
        if contrast and not re.search("that is not", phrase):
            (wrong,) = self.resolve(contrast[2])
            meant = self.resolve(contrast[1])
            assert wrong not in meant
            return meant
        readers = (
            self._known, self._negated, self._robot, self._half, self._between, self._ordinal, self._related,
            self._marked, self._middle, self._extreme, self._plain,
        )  # fmt: skip
        for read in readers:
            found = read(phrase)
            if found is not None:
                return found
        raise AssertionError(f"cannot read {phrase!r}")

    def _score(self, name: str, what: str) -> float:
        u, v, _ = self.layout[name]
        size, (x, y) = next((t.size, t.xy) for t in self.things if t.name == name)
        volume = size[0] * size[1] * size[2]
        robot = {"robot left": y, "robot right": -y, "robot near": -hypot(x, y)}
        return {"left": -u, "right": u, "front": v, "behind": -v, "big": volume, "small": -volume, **robot}[what]

    def _known(self, phrase: str) -> set[str] | None:
        for aspect, pattern in FACTS.items():
            if match := re.fullmatch(pattern, phrase):
                meanings = {
                    f.meaning for f in facts() if f.aspect == aspect and f.words.lower() == match["words"].lower()
                }
                fitting = {t.name for t in self.things if getattr(t, aspect) in meanings}
                if meanings:
                    return self.resolve(f"the {match[1].removeprefix('the ')}") & fitting
        return None

    def _half(self, phrase: str) -> set[str] | None:
        middles = {"left": -0.5, "right": 0.5, "front": 0.5, "behind": -0.5, "robot left": 0.0, "robot right": 0.0}
        for what, pattern in HALVES.items():
            if match := re.fullmatch(rf"(.+?) {pattern}", phrase):
                return {n for n in self.resolve(match[1]) if self._score(n, what) > middles[what]}
        return None

    def _robot(self, phrase: str) -> set[str] | None:
        for what, patterns in ROBOT.items():
            for pattern in patterns:
                if match := re.fullmatch(pattern, phrase):
                    head = match[1] if match[1].startswith("the ") else f"the {match[1]}"
                    return {max(self.resolve(head), key=lambda n: self._score(n, what))}
        return None

    def _middle(self, phrase: str) -> set[str] | None:
        for pattern in MIDDLE:
            if match := re.fullmatch(pattern, phrase):
                ranked = sorted(self.resolve(match[1]), key=lambda n: self._score(n, "left"))
                assert len(ranked) % 2, phrase
                return {ranked[len(ranked) // 2]}
        return None

    def _negated(self, phrase: str) -> set[str] | None:
        for pattern in NEGATED:
            if match := re.fullmatch(pattern, phrase):
                said = match.groupdict()
                excluded = {said["colour"], said.get("shade", said["colour"])}
                meanings = {colour for colour, words in self.grammar.colours.items() if {*words} & excluded} | excluded
                return {t.name for t in self.things if t.colour not in meanings} & self.resolve(said["head"])
        return None

    def _between(self, phrase: str) -> set[str] | None:
        match = re.fullmatch(rf"(.+?) {_IS}(?:in )?between {LANDMARK} and {LANDMARK}", phrase)
        if not match:
            return None
        (b,), (c,) = self.resolve(match[2]), self.resolve(match[3])
        # Between two things is where one sees them on opposite sides: the angle is obtuse.
        return {n for n in self.resolve(match[1]) - {b, c} if self._dot(n, b, c) < 0}

    def _dot(self, corner: str, one: str, other: str) -> float:
        (u, v, _), (u1, v1, _), (u2, v2, _) = (self.layout[n] for n in (corner, one, other))
        return (u1 - u) * (u2 - u) + (v1 - v) * (v2 - v)

    def _ordinal(self, phrase: str) -> set[str] | None:
        match = re.fullmatch(
            r"the (first|second|third) (.+?) (?:from|counting from|starting at) the (left|right|front|back)", phrase
        )
        if not match:
            return None
        side = match[3].replace("back", "behind")
        ranked = sorted(self.resolve(match[2]), key=lambda n: -self._score(n, side))
        return {ranked[ORDER[match[1]]]}

    def _marked(self, phrase: str) -> set[str] | None:
        for pattern in MARKED:
            if match := re.fullmatch(pattern, phrase):
                head = match.groupdict().get("head")
                names = {t.name for t in self.things} if head is None else self.resolve(head)
                return {t.name for t in self.things if t.mark == match["mark"] and t.name in names}
        words = phrase.removeprefix("the ").split()
        for mark in {t.mark for t in self.things} & {words[0], words[-1]}:
            return {t.name for t in self.things if t.mark == mark}
        return None

    def _related(self, phrase: str) -> set[str] | None:
        for what, pattern in RELATIONS.items():
            if match := re.fullmatch(rf"(.+?) {pattern} {LANDMARK}", phrase):
                (landmark,) = self.resolve(match[2])
                head = self.resolve(match[1]) - {landmark}
                if what != "near":
                    return {n for n in head if self._score(n, what) > self._score(landmark, what)}
                at = self.layout[landmark]
                return {min(head, key=lambda n: hypot(at[0] - self.layout[n][0], at[1] - self.layout[n][1]))}
        return None

    def _extreme(self, phrase: str) -> set[str] | None:
        for what in AFTER:
            match = re.fullmatch(rf"(.+) {AFTER[what]}", phrase) or re.fullmatch(rf"the {BEFORE[what]} (.+)", phrase)
            if match:
                return {max(self.resolve(match[1]), key=lambda n: self._score(n, what))}
        return None

    def _plain(self, phrase: str) -> set[str]:
        words = phrase.removeprefix("the ")
        found = {t.name for t in self.things if words in self._names(t)}
        assert found, f"nothing is {phrase!r}"
        return found

    def _names(self, thing: Thing) -> set[str]:
        nouns = {*self.grammar.nouns.get(thing.kind, (thing.kind,)), *self.grammar.generic}
        colours = self.grammar.colours.get(thing.colour, (thing.colour,))
        return nouns | {f"{colour} {noun}" for colour in colours for noun in nouns}
