"""Referring expressions: phrases that fit exactly one object, with the set of fitting objects after each word.

Each word of a phrase fits some objects; intersecting these sets word by word gives what fits the phrase so far. These
sets are the targets of the planner's mention loss, which grounds words in objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from hamster.sim.language.scope import RELATIONS, SUPERLATIVES, Scope, members

ARTICLES = frozenset({"the", "a", "an"})
ORDINALS = ("first", "second", "third", "fourth")
SIZES = {"biggest": "big", "smallest": "small"}


class Word(NamedTuple):
    """A word of a phrase.

    Attributes:
        text: the word.
        fits: bit set of the objects that fit the phrase so far; empty where the phrase does not narrow them yet.
        landmark: bit set of the landmark, if its phrase and the whole phrase both end with this word; else empty.
    """

    text: str
    fits: int = 0
    landmark: int = 0


class Head(NamedTuple):
    """A noun, perhaps with a colour: its words with the set that each fits, and the set that they fit together."""

    words: tuple[tuple[str, int], ...]
    fits: int


Phrase = list[Word]


def refer(scope: Scope, rng: Random, thing: int, plain: bool, involved: int = 0) -> Phrase | None:
    """Write a phrase that refers to one object alone; None where there is none.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
        plain: prefer its name, colour or mark; otherwise a superlative or a relation to a landmark.
        involved: bit set of objects that may not be landmarks, those that the command is about.
    """
    ways = (plain_phrase, _complex) if plain else (_complex, plain_phrase)
    for way in ways:
        phrase = way(scope, rng, thing, involved)
        if phrase is not None:
            return phrase
    return None


def plain_phrase(scope: Scope, rng: Random, thing: int, involved: int = 0) -> Phrase | None:
    """Write a phrase by name, colour or mark alone; None where these fit another object, too.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
        involved: not used.
    """
    only, record = 1 << thing, scope.things[thing]
    if record.mark is not None and scope.marks[record.mark] == only and rng.random() < 0.7:
        return _marked(scope, rng, thing)
    for head in heads_of(scope, rng, thing):
        if head.fits == only:
            return spell(scope, "the <head>", only, head)
    return _marked(scope, rng, thing) if record.mark is not None and scope.marks[record.mark] == only else None


def _marked(scope: Scope, rng: Random, thing: int) -> Phrase:
    mark = scope.things[thing].mark or ""
    pattern = rng.choice(scope.grammar.patterns["letter" if len(mark) == 1 else "picture"])
    noun = _noun(scope, rng, thing)
    if mark[0] in "aeiou":
        pattern = pattern.replace("a <mark>", "an <mark>")
    return spell(scope, pattern, 1 << thing, Head(((noun, scope.nouns[noun]),), scope.nouns[noun]), mark=mark)


def _noun(scope: Scope, rng: Random, thing: int) -> str:
    kind = scope.things[thing].kind
    return _pick(rng, scope.grammar.nouns.get(kind, (kind,)), scope.grammar.canonical)


def colour_word(scope: Scope, rng: Random, thing: int) -> str:
    """Draw a word for an object's colour.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
    """
    colour = scope.things[thing].colour
    return _pick(rng, scope.grammar.colours.get(colour, (colour,)), scope.grammar.canonical)


def _pick(rng: Random, words: tuple[str, ...], canonical: float) -> str:
    if len(words) == 1 or rng.random() < canonical:
        return words[0]
    return words[1 + int(rng.random() * (len(words) - 1))]


def heads_of(scope: Scope, rng: Random, thing: int) -> list[Head]:
    """Return an object's heads ("cube", "red cube", "red one") in the order in which to try them.

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        thing: index of the object.
    """
    noun, colour = _noun(scope, rng, thing), colour_word(scope, rng, thing)
    generic = rng.choice(scope.grammar.generic) if scope.grammar.generic else noun
    bare, full = make_head(scope, noun), make_head(scope, noun, colour)
    draw = rng.random()
    if draw < scope.grammar.bare:
        return [bare, full]
    if draw < scope.grammar.bare + scope.grammar.coloured_generic:
        return [make_head(scope, generic, colour), full, bare]
    return [full, bare]


def make_head(scope: Scope, noun: str, colour: str | None = None) -> Head:
    """Return the head of a noun, or of a colour and a noun.

    Args:
        scope: the scene, and the grammar.
        noun: a noun of the grammar.
        colour: a colour word of the grammar.
    """
    fits = scope.nouns[noun]
    words = [(word, fits) for word in noun.split()]
    if colour is None:
        return Head(tuple(words), fits)
    shade = scope.colours[colour]
    return Head((*((word, shade) for word in colour.split()), *words), fits & shade)


def _complex(scope: Scope, rng: Random, thing: int, involved: int = 0) -> Phrase | None:
    """Write a phrase with a relation, superlative or rank, preferably for a head that fits several objects."""
    heads = [head for head in heads_of(scope, rng, thing) if head.fits & (head.fits - 1)]
    if scope.absent >> thing & 1:  # a phrase for an absent object must not fit a real one
        heads = [head for head in heads if not head.fits & ~scope.absent]
    elif scope.grammar.generic and (not heads or rng.random() < 0.1):
        heads.append(make_head(scope, rng.choice(scope.grammar.generic)))
    names = list(scope.grammar.patterns)
    rng.shuffle(names)
    for head in heads:
        for name in names:
            phrase = _try(scope, rng, thing, involved, head, name)
            if phrase is not None:
                return phrase
    return None


def _try(scope: Scope, rng: Random, thing: int, involved: int, head: Head, name: str) -> Phrase | None:
    only = 1 << thing
    if name in SUPERLATIVES:
        ranked = scope.ranked(name, head.fits)
        if ranked[:1] == [thing] and (name not in SIZES or head.fits != scope.everything):
            return spell(scope, rng.choice(scope.grammar.patterns[name]), only, head)
        return None
    if name == "ordinal":
        return _ordinal(scope, rng, thing, head)
    landmarks = members(scope.visible & ~involved & ~only & ~scope.absent)
    rng.shuffle(landmarks)
    if name == "between":
        return _between(scope, rng, thing, head, landmarks)
    if name in RELATIONS:
        for landmark in landmarks:
            if scope.related(name, landmark, head.fits) == only:
                other = plain_phrase(scope, rng, landmark)
                if other is not None:
                    return spell(scope, rng.choice(scope.grammar.patterns[name]), only, head, other)
    return None


def _ordinal(scope: Scope, rng: Random, thing: int, head: Head) -> Phrase | None:
    if rng.random() < 0.6 or head.fits == scope.everything:
        return None
    side = rng.choice(("leftmost", "rightmost"))
    ranked = scope.ranked(side, head.fits)
    if thing not in ranked[:3] or len(members(head.fits)) < 3:
        return None
    pattern = rng.choice(scope.grammar.patterns["ordinal"])
    pattern = pattern.replace("<rank>", ORDINALS[ranked.index(thing)]).replace("<side>", side[:-4])
    return spell(scope, pattern, 1 << thing, head)


def _between(scope: Scope, rng: Random, thing: int, head: Head, landmarks: list[int]) -> Phrase | None:
    for first in landmarks[:3]:
        for second in landmarks[:3]:
            if first != second and scope.between(first, second, head.fits) == 1 << thing:
                phrases = plain_phrase(scope, rng, first), plain_phrase(scope, rng, second)
                if phrases[0] is not None and phrases[1] is not None:
                    pattern = rng.choice(scope.grammar.patterns["between"])
                    return spell(scope, pattern, 1 << thing, head, phrases[0], phrases[1])
    return None


def spell(
    scope: Scope,
    pattern: str,
    only: int,
    head: Head,
    other: Iterable[Word] = (),
    another: Iterable[Word] = (),
    mark: str = "",
    preferred: Mapping[str, int] | None = None,
) -> Phrase:
    """Fill in a pattern, intersecting the sets that its words fit; the last word fits the referent alone.

    Args:
        scope: the scene, and the grammar.
        pattern: as in `Grammar.patterns`.
        only: the referent, as a bit set.
        head: noun of the referent, perhaps with a colour.
        other, another: phrases of landmarks.
        mark: letter or picture of the referent.
        preferred: bit sets of directional words such as "leftmost", each intersected with what fits so far. If given,
            even empty, the last word of a landmark's phrase also records the landmark.
    """
    phrase: Phrase = []
    fits = scope.everything
    slots = {"<head>": head.words, "<mark>": ((mark, scope.marks.get(mark, 0)),)}
    landmarks = {"<other>": other, "<another>": another}
    carriers = scope.carriers if "<mark>" in pattern else {}  # without a mark "picture" means the camera image
    for item in pattern.split():
        if item in landmarks:
            phrase.extend(landmarks[item])
            continue
        for text, word_fits in slots.get(item) or ((item, carriers.get(item, scope.everything)),):
            fits &= word_fits
            uninformative = text in ARTICLES or fits == scope.everything
            directional = (preferred or {}).get(text, 0) & fits if item not in slots else 0
            phrase.append(Word(text, directional or (0 if uninformative else fits)))
    ends_in_landmark = preferred is not None and pattern.split()[-1] in landmarks
    phrase[-1] = Word(phrase[-1].text, only, phrase[-1].fits if ends_in_landmark else 0)
    return phrase
