"""Draws commands: a task that the scene allows, said in words that leave no doubt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

import numpy as np

from hamster.data.mirror import is_sided
from hamster.sim.language.grammar import Grammar
from hamster.sim.language.phrases import phrase_in
from hamster.sim.language.possible import CONTAINERS, FAMILIES, Task, tasks
from hamster.sim.language.refer import Word, refer
from hamster.sim.language.scope import ImageLayout, Scope
from hamster.sim.layout import image_layout
from hamster.sim.scene import Command, Scene

PUNCTUATION = frozenset(",.?:;!")
WEIGHTS = {"pick_place": 1.0, "press": 3.0, "knock": 1.0, "stack": 4.0, "push": 0.4}
"""How often a family is drawn where it is possible: fewer scenes allow pressing and stacking than placing."""
MIXED_WEIGHTS = {**WEIGHTS, "push": 0.7}
"""The same for grammars with a mix of ways."""
TRIES = 40
"""Tasks that are tried for a way of telling a thing from others, before another way is drawn."""


def commands(
    scene: Scene,
    rng: np.random.Generator,
    n: int,
    grammar: Grammar,
    layout: ImageLayout | None = None,
    visible: Mapping[str, float] | None = None,
    *,
    families: Collection[str] = FAMILIES,
    among: Sequence[Task] | None = None,
    absent: Collection[str] = (),
) -> list[Command]:
    """Draws up to `n` commands, with repeats: a family first, then one of its tasks, then the words.

    Every phrase fits its referent alone. Fewer than `n` come back only where phrases are hard to find; none where the
    scene allows no task of these families, or none can be told apart in words.

    Args:
        layout: (u, v, area) of things in the image, which is what left, right, in front and behind are about; by
            default projected into the camera "front". Nothing that it lacks is spoken of.
        visible: share of each thing that is seen; no command speaks of a thing below `scope.MIN_VISIBLE`. None: all
            things in the layout are.
        families: those wanted.
        among: the tasks to draw from; by default all that the records allow, whether or not a way is free.
        absent: things of the scene that are only imagined: what is said of them by name or mark fits nothing else.
    """
    scope = Scope(scene, grammar, image_layout(scene) if layout is None else layout, visible, absent)
    by_family: dict[str, list[Task]] = {}
    for task in tasks(scene) if among is None else among:
        if task.family in families and _speakable(scope, task):
            by_family.setdefault(task.family, []).append(task)
    names, weights = list(by_family), [WEIGHTS[family] for family in by_family]
    source = Random(int(rng.integers(2**63)))
    if grammar.mix:
        return _mixed(scope, source, n, by_family)
    found: list[Command] = []
    for _ in range(4 * n if by_family else 0):
        command = say(scope, source, source.choice(by_family[source.choices(names, weights)[0]]))
        if command is not None:
            found.append(command)
            if len(found) == n:
                break
    return found


def _mixed(scope: Scope, rng: Random, n: int, by_family: Mapping[str, Sequence[Task]]) -> list[Command]:
    """As `commands`, for a grammar with a mix: first the way of telling the thing, then a task with a phrase for it.

    Where the scene has none, another way is drawn, but no plain one: plain phrases are nearly always possible, and
    would take over.
    """
    mix = scope.grammar.mix
    names, weights = list(by_family), [MIXED_WEIGHTS[family] for family in by_family]
    found: list[Command] = []
    for _ in range(4 * n if by_family else 0):
        for way in _ways(mix, rng):
            drawn = (rng.choice(by_family[rng.choices(names, weights)[0]]) for _ in range(TRIES))
            command = next(filter(None, (say(scope, rng, task, way) for task in drawn)), None)
            if command is not None:
                found.append(command)
                break
        if len(found) == n:
            break
    return found


def _ways(mix: Mapping[str, float], rng: Random) -> Iterator[str]:
    """One way after the other, each drawn by its share among those that are left; plain first, or last."""
    if rng.random() < mix.get("plain", 0.0):
        yield "plain"
    left = {way: share for way, share in mix.items() if way != "plain"}
    while left:
        way = rng.choices(list(left), list(left.values()))[0]
        del left[way]
        yield way
    if "plain" in mix:
        yield "plain"


def _speakable(scope: Scope, task: Task) -> bool:
    things = [task.target] if task.goal is None else [task.target, task.goal]
    return all(scope.seen >> scope.index[name] & 1 for name in things)


def say(scope: Scope, rng: Random, task: Task, way: str | None = None) -> Command | None:
    """Words for a task, or None where one of its things cannot be told apart (by the way that was drawn).

    Args:
        scope: the scene, and the grammar.
        rng: draws the words.
        task: what is to be done.
        way: in which of `phrases.WAYS` one of its things is told from others; None: as `complex_share` has it.
    """
    grammar = scope.grammar
    things = {"{target}": scope.index[task.target]}
    if task.goal is not None:
        things["{goal}"] = scope.index[task.goal]
    involved = sum(1 << thing for thing in things.values())
    draws = way is None and rng.random() < grammar.complex_share
    draws = draws or way not in (None, "plain")
    twisted = rng.choice([slot for slot in things if slot in grammar.twisted]) if draws else ""
    phrases = {}
    for slot, thing in things.items():
        if way is None:
            phrase = refer(scope, rng, thing, slot != twisted, involved)
        else:
            phrase = phrase_in(scope, rng, thing, way if slot == twisted else "plain", involved)
        if phrase is None:
            return None
        phrases[slot] = phrase
    inside = task.goal is not None and scope.things[things["{goal}"]].kind in CONTAINERS
    words: list[Word] = []
    for token in grammar.expand(rng, task.family, inside):
        words += phrases.get(token) or [Word(token)]
    text, mentions = _write(scope, _dress(grammar, rng, words))
    return Command(task.family, task.target, task.goal, text, mentions, way or "")


def _dress(grammar: Grammar, rng: Random, words: list[Word]) -> list[Word]:
    """Typing habits: case, a full stop, now and then a slip."""
    if words[-1].text not in PUNCTUATION and rng.random() < grammar.full_stop:
        words.append(Word("."))
    if grammar.unknown and rng.random() < grammar.unknown:
        words.insert(rng.randrange(len(words)), Word(_no_word(rng)))
    if grammar.typos and rng.random() < grammar.typos:
        i = rng.randrange(len(words))
        if not is_sided(words[i].text):  # a mirror image needs the other side's word
            words[i] = words[i]._replace(text=_slip(rng, words[i].text))
    case = rng.choices((_lower, _sentence, _upper), grammar.casing)[0]
    return case(words)


def _lower(words: list[Word]) -> list[Word]:
    """All small, but "I" and the letters on tiles."""
    return [word if len(word.text) == 1 else word._replace(text=word.text.lower()) for word in words]


def _upper(words: list[Word]) -> list[Word]:
    return [word._replace(text=word.text.upper()) for word in words]


def _sentence(words: list[Word]) -> list[Word]:
    """A capital at the start and after each full stop."""
    starts = [i for i, _ in enumerate(words) if i == 0 or words[i - 1].text == "."]
    for i in starts:
        words[i] = words[i]._replace(text=words[i].text[0].upper() + words[i].text[1:])
    return words


def _slip(rng: Random, text: str) -> str:
    """Swaps, drops or doubles a letter inside a word of four or more."""
    if len(text) < 4:
        return text
    i = rng.randrange(1, len(text) - 2)
    middle = rng.choice((text[i + 1] + text[i], text[i], text[i] * 2 + text[i + 1]))
    return text[:i] + middle + text[i + 2 :]


def _no_word(rng: Random) -> str:
    """What sounds like a word of one to three syllables, and is none that anybody taught."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3))) + "x"


def _write(scope: Scope, words: list[Word]) -> tuple[str, tuple[tuple[int, int, tuple[str, ...]], ...]]:
    """Joins the words and notes where in the text each one of a phrase stands."""
    pieces: list[str] = []
    mentions = []
    at = 0
    for text, fits, landmark in words:
        if pieces and text not in PUNCTUATION:
            pieces.append(" ")
            at += 1
        pieces.append(text)
        if landmark:
            mentions.append((at, at + len(text), scope.names_of(landmark)))
        if fits:
            mentions.append((at, at + len(text), scope.names_of(fits)))
        at += len(text)
    return "".join(pieces), tuple(mentions)
