"""Referring expressions: phrases that pick out exactly one thing, word by word.

A phrase is made of words that keep some of the things; folding them gives what fits the phrase so far. These sets are
the training signal that binds words to things (the mention loss of the planner).
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from hamster.sim.language.scope import EXTREMES, RELATIONS, Scope, members

ARTICLES = frozenset({"the", "a", "an"})
ORDINALS = ("first", "second", "third", "fourth")
SIZES = {"biggest": "big", "smallest": "small"}


class Word(NamedTuple):
    """A word of a phrase and the set of things that fit so far; the empty set where that says nothing yet."""

    text: str
    fits: int = 0


class Head(NamedTuple):
    """A noun with perhaps a colour: its words, what each keeps, and the set that it fits."""

    words: tuple[tuple[str, int], ...]
    fits: int


Phrase = list[Word]


def refer(scope: Scope, rng: Random, thing: int, plain: bool, involved: int = 0) -> Phrase | None:
    """A phrase for one thing that fits nothing else, or None where there is none.

    Args:
        plain: prefer its name, colour or mark; else a superlative or a relation to a landmark.
        involved: things that may not be landmarks (those that the command is about).
    """
    ways = (_plain, _complex) if plain else (_complex, _plain)
    for way in ways:
        phrase = way(scope, rng, thing, involved)
        if phrase is not None:
            return phrase
    return None


def _plain(scope: Scope, rng: Random, thing: int, involved: int = 0) -> Phrase | None:
    only, record = 1 << thing, scope.things[thing]
    if record.mark is not None and scope.marks[record.mark] == only and rng.random() < 0.7:
        return _marked(scope, rng, thing)
    for head in _heads(scope, rng, thing):
        if head.fits == only:
            return _spell(scope, "the <head>", only, head)
    return _marked(scope, rng, thing) if record.mark is not None and scope.marks[record.mark] == only else None


def _marked(scope: Scope, rng: Random, thing: int) -> Phrase:
    mark = scope.things[thing].mark or ""
    pattern = rng.choice(scope.grammar.patterns["letter" if len(mark) == 1 else "picture"])
    noun = _noun(scope, rng, thing)
    if mark[0] in "aeiou":
        pattern = pattern.replace("a <mark>", "an <mark>")
    return _spell(scope, pattern, 1 << thing, Head(((noun, scope.nouns[noun]),), scope.nouns[noun]), mark=mark)


def _noun(scope: Scope, rng: Random, thing: int) -> str:
    kind = scope.things[thing].kind
    return _pick(rng, scope.grammar.nouns.get(kind, (kind,)), scope.grammar.canonical)


def _colour(scope: Scope, rng: Random, thing: int) -> str:
    colour = scope.things[thing].colour
    return _pick(rng, scope.grammar.colours.get(colour, (colour,)), scope.grammar.canonical)


def _pick(rng: Random, words: tuple[str, ...], canonical: float) -> str:
    if len(words) == 1 or rng.random() < canonical:
        return words[0]
    return words[1 + int(rng.random() * (len(words) - 1))]


def _heads(scope: Scope, rng: Random, thing: int) -> list[Head]:
    """The thing's heads ("cube", "red cube", "red one") in the order in which to try them."""
    noun, colour = _noun(scope, rng, thing), _colour(scope, rng, thing)
    generic = rng.choice(scope.grammar.generic)
    bare, full = _head(scope, noun), _head(scope, noun, colour)
    draw = rng.random()
    if draw < scope.grammar.bare:
        return [bare, full]
    if draw < scope.grammar.bare + scope.grammar.coloured_generic:
        return [_head(scope, generic, colour), full, bare]
    return [full, bare]


def _head(scope: Scope, noun: str, colour: str | None = None) -> Head:
    keeps = scope.nouns[noun]
    words = [(word, keeps) for word in noun.split()]
    if colour is None:
        return Head(tuple(words), keeps)
    shade = scope.colours[colour]
    return Head((*((word, shade) for word in colour.split()), *words), keeps & shade)


def _complex(scope: Scope, rng: Random, thing: int, involved: int = 0) -> Phrase | None:
    """A phrase whose head fits several things; where there is no such head, sometimes one that is not needed."""
    heads = [head for head in _heads(scope, rng, thing) if head.fits & (head.fits - 1)]
    if scope.absent >> thing & 1:  # of an absent thing no superlative or relation may lead to something else
        heads = [head for head in heads if not head.fits & ~scope.absent]
    elif not heads or rng.random() < 0.1:
        heads.append(_head(scope, rng.choice(scope.grammar.generic)))
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
    if name in EXTREMES:
        ranked = scope.ranked(name, head.fits)
        if ranked[:1] == [thing] and (name not in SIZES or head.fits != scope.everything):
            return _spell(scope, rng.choice(scope.grammar.patterns[name]), only, head)
        return None
    if name == "ordinal":
        return _ordinal(scope, rng, thing, head)
    landmarks = members(scope.seen & ~involved & ~only & ~scope.absent)
    rng.shuffle(landmarks)
    if name == "between":
        return _between(scope, rng, thing, head, landmarks)
    if name in RELATIONS:
        for landmark in landmarks:
            if scope.related(name, landmark, head.fits) == only:
                other = _plain(scope, rng, landmark)
                if other is not None:
                    return _spell(scope, rng.choice(scope.grammar.patterns[name]), only, head, other)
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
    return _spell(scope, pattern, 1 << thing, head)


def _between(scope: Scope, rng: Random, thing: int, head: Head, landmarks: list[int]) -> Phrase | None:
    for first in landmarks[:3]:
        for second in landmarks[:3]:
            if first != second and scope.between(first, second, head.fits) == 1 << thing:
                phrases = _plain(scope, rng, first), _plain(scope, rng, second)
                if phrases[0] is not None and phrases[1] is not None:
                    pattern = rng.choice(scope.grammar.patterns["between"])
                    return _spell(scope, pattern, 1 << thing, head, phrases[0], phrases[1])
    return None


def _spell(
    scope: Scope,
    pattern: str,
    only: int,
    head: Head,
    other: Iterable[Word] = (),
    another: Iterable[Word] = (),
    mark: str = "",
) -> Phrase:
    """Fills a pattern in, folding what each word keeps; the whole phrase fits the referent alone."""
    phrase: Phrase = []
    fits = scope.everything
    slots = {"<head>": head.words, "<mark>": ((mark, scope.marks.get(mark, 0)),)}
    landmarks = {"<other>": other, "<another>": another}
    for item in pattern.split():
        if item in landmarks:
            phrase.extend(landmarks[item])
            continue
        for text, keeps in slots.get(item) or ((item, scope.carriers.get(item, scope.everything)),):
            fits &= keeps
            silent = text in ARTICLES or fits == scope.everything
            phrase.append(Word(text, 0 if silent else fits))
    phrase[-1] = Word(phrase[-1].text, only)
    return phrase
