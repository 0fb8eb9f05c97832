"""Phrases of a given type: the ways of distinguishing an object from others, and a phrase in one of them.

A grammar with a `mix` sets the share of each way. Without it a noun and a colour nearly always suffice, and a model
would see too few examples of words such as "leftmost".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import hypot
from random import Random

from hamster.data.knowledge import facts
from hamster.sim.language.refer import (
    ORDINALS,
    Head,
    Phrase,
    Word,
    colour_word,
    heads_of,
    make_head,
    plain_phrase,
    spell,
)
from hamster.sim.language.scope import HALVES, MARGIN, Scope, members

PAIRS_OF_THINGS = 0.2  # probability that a head may fit only two objects
# Few scenes allow these ways, so here a head may always fit only two objects.
RARE = ("size", "depth relation", "between")
LANDMARKS = 6  # number tried for a relation
PAIRS = 30  # number of pairs of landmarks tried for "between"
# By how much the object nearest to a landmark must be nearer than the next one, relative to the image.
NEAREST_TO = 0.06
CONTRAST = 0.35  # probability that a negation names the wrong object ("... and not the red one") where possible


def phrase_in(scope: Scope, rng: Random, thing: int, way: str, involved: int = 0) -> Phrase | None:
    """Write a phrase that refers to one object alone, in one of `WAYS`; None where there is no such phrase.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
        way: a key of `WAYS`.
        involved: bit set of objects that may not be landmarks, those that the command is about.
    """
    if way == "plain":
        return plain_phrase(scope, rng, thing)
    if way == "knowledge":
        return _known(scope, rng, thing)
    for head in _shared_heads(scope, rng, thing, way):
        for name in rng.sample(WAYS[way], len(WAYS[way])):
            if name not in scope.grammar.patterns:
                continue
            phrase = _WRITERS[name](scope, rng, thing, name, head, involved)
            if phrase is not None:
                return phrase
    return None


def _known(scope: Scope, rng: Random, thing: int) -> Phrase | None:
    """Write a phrase with a fact: "the cube that has the colour of grass", "the thing that one drinks tea from"."""
    record, only = scope.things[thing], 1 << thing
    if scope.absent:
        return None
    for aspect in rng.sample(("colour", "kind", "mark"), 3):
        meaning = {"colour": record.colour, "kind": record.kind, "mark": record.mark}[aspect]
        known = [fact for fact in facts(scope.grammar.facts) if fact.aspect == aspect and fact.meaning == meaning]
        if not known or f"fact_{aspect}" not in scope.grammar.patterns:
            continue
        noun = rng.choice((record.kind, rng.choice(scope.grammar.generic)))
        if aspect == "colour":
            head = make_head(scope, noun)
        elif aspect == "kind":
            generic, colour = rng.choice(scope.grammar.generic), rng.choice((None, record.colour))
            head = make_head(scope, generic, colour)
        else:
            head = make_head(scope, record.kind)
        if head.fits & scope.like(aspect, thing) == only:
            pattern = rng.choice(scope.grammar.patterns[f"fact_{aspect}"]).replace("<fact>", rng.choice(known).words)
            return spell(scope, pattern, only, head)
    return None


def _shared_heads(scope: Scope, rng: Random, thing: int, way: str) -> list[Head]:
    """Return heads that fit this object and others, mostly three or more, where a noun distinguishes least."""
    heads = [head for head in heads_of(scope, rng, thing) if head.fits & (head.fits - 1)]
    if scope.absent >> thing & 1:  # a phrase for an absent object must not fit a real one
        return [head for head in heads if not head.fits & ~scope.absent]
    if scope.grammar.generic and rng.random() < 0.05:
        heads.append(make_head(scope, rng.choice(scope.grammar.generic)))
    fewest = 2 if way in RARE or rng.random() < PAIRS_OF_THINGS else 3
    return [head for head in heads if head.fits.bit_count() >= fewest]


def _extreme(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    if head.fits == scope.everything and name in ("biggest", "smallest"):
        return None
    if scope.ranked(name, head.fits)[:1] != [thing]:
        return None
    return _spell_directional(scope, rng, thing, name, head, [name])


def _spell_directional(
    scope: Scope, rng: Random, thing: int, name: str, head: Head, extremes: Iterable[str], **slots: str
) -> Phrase:
    """Fill in a pattern whose directional words fit the half of all objects that lies in that direction.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
        name: of the pattern.
        head: noun, perhaps with a colour.
        extremes: directions, see `Scope.preferred`, one after the other.
        slots: values of further slots of the pattern.
    """
    pattern = rng.choice(scope.grammar.patterns[name])
    for slot, value in slots.items():
        pattern = pattern.replace(f"<{slot}>", value)
    half = scope.everything
    for extreme in extremes:
        half = scope.preferred(extreme, half)
    before, _, after = pattern.partition("<head>")
    # In "the leftmost cube from your point of view" the first words still suggest the viewer's side.
    if name.startswith("robot"):
        before = ""
    words = (BEFORE_THE_NOUN & {*before.split()}) | (AFTER_THE_NOUN & {*after.split()})
    return spell(scope, pattern, 1 << thing, head, preferred=dict.fromkeys(words, half))


def _rank(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    """Write a phrase such as "the second from the left"; first ones are rare, as superlatives express them."""
    side = rng.choice(("leftmost", "rightmost") if name == "ordinal" else ("nearest", "farthest"))
    ranked = scope.ranked(side, head.fits)
    if head.fits.bit_count() < 3 or head.fits == scope.everything or thing not in ranked[:3]:
        return None
    rank = ranked.index(thing)
    if rank == 0 and rng.random() < 0.7:
        return None
    words = {"leftmost": "left", "rightmost": "right", "nearest": "front", "farthest": "back"}
    return _spell_directional(scope, rng, thing, name, head, [], rank=ORDINALS[rank], side=words[side])


def _middle(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    ranked = scope.ranked("leftmost", head.fits)
    if head.fits.bit_count() not in (3, 5) or len(ranked) != head.fits.bit_count():
        return None
    if ranked[len(ranked) // 2] != thing:
        return None
    return _spell_directional(scope, rng, thing, name, head, ["central"])


def _related(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    for landmark in _landmarks(scope, rng, thing, involved)[:LANDMARKS]:
        if name == "nearest_to":
            fits = _nearest_to(scope, landmark, head.fits & ~(1 << landmark))
        else:
            fits = scope.related(name, landmark, head.fits)
        if fits == 1 << thing and (other := plain_phrase(scope, rng, landmark)) is not None:
            return spell(scope, rng.choice(scope.grammar.patterns[name]), fits, head, other, preferred={})
    return None


def _nearest_to(scope: Scope, landmark: int, head: int) -> int:
    """Return the set of the object in `head` that is clearly nearest to the landmark, empty where there is none."""
    spots = {i: scope.spots[i] for i in (*members(head), landmark)}
    at = spots.pop(landmark)
    if at is None or len(spots) < 2 or any(spot is None for spot in spots.values()):
        return 0
    away = sorted((hypot(spot[0] - at[0], spot[1] - at[1]), i) for i, spot in spots.items() if spot is not None)
    return 1 << away[0][1] if away[1][0] - away[0][0] >= NEAREST_TO else 0


def _between(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    landmarks = _landmarks(scope, rng, thing, involved)
    pairs = [(a, b) for a in landmarks for b in landmarks if a != b]
    for first, second in rng.sample(pairs, min(PAIRS, len(pairs))):
        if scope.between(first, second, head.fits) == 1 << thing:
            one, two = plain_phrase(scope, rng, first), plain_phrase(scope, rng, second)
            if one is not None and two is not None:
                pattern = rng.choice(scope.grammar.patterns[name])
                return spell(scope, pattern, 1 << thing, head, one, two, preferred={})
    return None


def _landmarks(scope: Scope, rng: Random, thing: int, involved: int) -> list[int]:
    landmarks = members(scope.visible & ~involved & ~(1 << thing) & ~scope.absent)
    rng.shuffle(landmarks)
    return landmarks


def _negated(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    """Write a phrase such as "the cube that is not red" or "the leftmost cube and not the red one"."""
    only, others = 1 << thing, [i for i in members(head.fits) if i != thing]
    contrast = _contrast(scope, rng, thing, head, others) if rng.random() < CONTRAST else None
    if contrast is not None:
        return contrast
    words = [colour_word(scope, rng, i) for i in others]
    words = list(dict.fromkeys(word for word in words if not scope.colours[word] & only and " " not in word))
    rng.shuffle(words)
    for count, pattern_name in ((1, "negated"), (2, "neither")):
        for i in range(len(words) - count + 1):
            excluded = words[i : i + count]
            if head.fits & ~_any(scope, excluded) == only and not any(word in excluded for word, _ in head.words):
                pattern = rng.choice(scope.grammar.patterns[pattern_name])
                for slot, word in zip(("<colour>", "<shade>"), excluded, strict=False):
                    pattern = pattern.replace(slot, word)
                return spell(scope, pattern, only, head, preferred={})
    return None


def _any(scope: Scope, colours: Iterable[str]) -> int:
    union = 0
    for colour in colours:
        union |= scope.colours[colour]
    return union


def _contrast(scope: Scope, rng: Random, thing: int, head: Head, others: list[int]) -> Phrase | None:
    """Write a superlative phrase followed by the plain phrase of another object that is not meant."""
    visible = [i for i in others if scope.visible >> i & 1 and not scope.absent >> i & 1]
    for name in rng.sample(("leftmost", "rightmost", "nearest", "farthest"), 4):
        phrase = _extreme(scope, rng, thing, name, head, 0)
        if phrase is not None and visible and (wrong := plain_phrase(scope, rng, rng.choice(visible))) is not None:
            tail = [Word(word) for word in rng.choice(scope.grammar.patterns["contrast"]).split()]
            last = wrong[-1]
            return [*phrase, *tail, *wrong[:-1], Word(last.text, 1 << thing, last.fits)]
    return None


def _half(scope: Scope, rng: Random, thing: int, name: str, head: Head, involved: int) -> Phrase | None:
    """Write a phrase such as "on the left side of the picture", where no other object of the head is there."""
    axis, sign, middle = HALVES[name]
    places = [scope.places(axis)[i] for i in members(head.fits)]
    mine = scope.places(axis)[thing]
    if mine is None or any(place is None for place in places):
        return None
    margin = MARGIN if axis < 2 else ROBOT_MARGIN_M
    beyond = [place for place in places if place is not None and sign * (place - middle) > -margin]
    if len(beyond) != 1 or sign * (mine - middle) < margin:
        return None
    return _spell_directional(scope, rng, thing, name, head, [name])


ROBOT_MARGIN_M = 0.03
"""Smallest distance from the robot's x axis at which an object is on its left or right."""

WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "side extreme": ("leftmost", "rightmost"),
    "depth extreme": ("nearest", "farthest"),
    "size": ("biggest", "smallest"),
    "rank": ("ordinal", "depth_ordinal", "middle"),
    "side relation": ("left", "right"),
    "depth relation": ("front", "behind"),
    "near": ("near", "nearest_to"),
    "between": ("between",),
    "negation": ("negated",),
    "side of the picture": ("picture_left", "picture_right", "picture_top", "picture_bottom"),
    "knowledge": ("fact_colour", "fact_kind", "fact_mark"),
    "side of the robot": ("robot_left", "robot_right", "robot_leftmost", "robot_rightmost", "robot_nearest"),
}
"""Ways of distinguishing an object from others of the same kind, and the patterns of each."""

Writer = Callable[[Scope, Random, int, str, Head, int], Phrase | None]
_WRITERS: dict[str, Writer] = {
    **dict.fromkeys((*WAYS["side extreme"], *WAYS["depth extreme"], *WAYS["size"]), _extreme),
    **dict.fromkeys(("robot_leftmost", "robot_rightmost", "robot_nearest"), _extreme),
    **dict.fromkeys(("ordinal", "depth_ordinal"), _rank),
    **dict.fromkeys((*WAYS["side relation"], *WAYS["depth relation"], *WAYS["near"]), _related),
    **dict.fromkeys(HALVES, _half),
    "middle": _middle,
    "between": _between,
    "negated": _negated,
}
BEFORE_THE_NOUN = frozenset(
    {"leftmost", "left", "rightmost", "right", "nearest", "closest", "front", "frontmost", "farthest", "furthest"}
    | {"rearmost", "distant", "middle", "centre", "central", "biggest", "big", "largest", "large", "bigger", "huge"}
    | {"smallest", "small", "little", "tiny", "smaller"}
)
AFTER_THE_NOUN = frozenset({"left", "right", "front", "back", "upper", "lower", "top", "bottom", "middle", "centre"})
"""Directional words that suggest one half of the objects before the phrase is complete, before and after the noun."""
