"""Commands: tasks that a scene allows, as unambiguous sentences."""

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
"""Weight of a task family where it is possible: fewer scenes allow pressing and stacking than placing."""
MIXED_WEIGHTS = {**WEIGHTS, "push": 0.7}
"""The same for grammars with a `mix`."""
TRIES = 40
"""Number of tasks tried for one way of referring to an object, before another way is drawn."""


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
    """Draw up to `n` commands, with repeats: a family first, then one of its tasks, then the words.

    Every phrase refers to exactly one object. Fewer than `n` are returned only where unambiguous phrases are hard to
    find; none where the scene allows no task of these families, or its objects cannot be distinguished in words.

    Args:
        scene: the scene.
        rng: random generator.
        n: largest number of commands.
        grammar: grammar of the sentences.
        layout: (u, v, area) of objects in the image, relative to its size, by which left, right, in front and behind
            are judged; by default projected into the camera "front". Objects that it lacks are not mentioned.
        visible: visible share of each object; those below `scope.MIN_VISIBLE` are not mentioned. None: all objects in
            the layout are visible.
        families: task families to draw from.
        among: tasks to draw from; by default all that the objects allow, whether or not the robot's way is free.
        absent: names of imaginary objects; a phrase for one must not fit any real object.
    """
    scope = Scope(scene, grammar, image_layout(scene) if layout is None else layout, visible, absent)
    by_family: dict[str, list[Task]] = {}
    for task in tasks(scene) if among is None else among:
        if task.family in families and _is_visible(scope, task):
            by_family.setdefault(task.family, []).append(task)
    names, weights = list(by_family), [WEIGHTS[family] for family in by_family]
    source = Random(int(rng.integers(2**63)))
    if grammar.mix:
        return _mixed(scope, source, n, by_family)
    drawn: list[Command] = []
    for _ in range(4 * n if by_family else 0):
        command = make_command(scope, source, source.choice(by_family[source.choices(names, weights)[0]]))
        if command is not None:
            drawn.append(command)
            if len(drawn) == n:
                break
    return drawn


def _mixed(scope: Scope, rng: Random, n: int, by_family: Mapping[str, Sequence[Task]]) -> list[Command]:
    """Draw commands for a grammar with a `mix`: first the way of referring, then a task that allows such a phrase.

    Where the scene has no such task, another way is drawn, the plain one last: plain phrases are nearly always
    possible, and would dominate.
    """
    mix = scope.grammar.mix
    names, weights = list(by_family), [MIXED_WEIGHTS[family] for family in by_family]
    drawn: list[Command] = []
    for _ in range(4 * n if by_family else 0):
        for way in _ways(mix, rng):
            candidates = (rng.choice(by_family[rng.choices(names, weights)[0]]) for _ in range(TRIES))
            command = next(filter(None, (make_command(scope, rng, task, way) for task in candidates)), None)
            if command is not None:
                drawn.append(command)
                break
        if len(drawn) == n:
            break
    return drawn


def _ways(mix: Mapping[str, float], rng: Random) -> Iterator[str]:
    """Yield all ways in random order, drawn by their shares among those left; the plain one first or last."""
    if rng.random() < mix.get("plain", 0.0):
        yield "plain"
    left = {way: share for way, share in mix.items() if way != "plain"}
    while left:
        way = rng.choices(list(left), list(left.values()))[0]
        del left[way]
        yield way
    if "plain" in mix:
        yield "plain"


def _is_visible(scope: Scope, task: Task) -> bool:
    things = [task.target] if task.goal is None else [task.target, task.goal]
    return all(scope.visible >> scope.index[name] & 1 for name in things)


def make_command(scope: Scope, rng: Random, task: Task, way: str | None = None) -> Command | None:
    """Write a command for a task; None where one of its objects cannot be referred to (in the given way).

    Args:
        scope: the scene, and the grammar.
        rng: random generator of the words.
        task: the task.
        way: the key of `phrases.WAYS` for one of its objects; None draws by the grammar's `complex_share`.
    """
    grammar = scope.grammar
    things = {"{target}": scope.index[task.target]}
    if task.goal is not None:
        things["{goal}"] = scope.index[task.goal]
    involved = sum(1 << thing for thing in things.values())
    is_complex = way is None and rng.random() < grammar.complex_share
    is_complex = is_complex or way not in (None, "plain")
    complex_slot = rng.choice([slot for slot in things if slot in grammar.complex_slots]) if is_complex else ""
    phrases = {}
    for slot, thing in things.items():
        if way is None:
            phrase = refer(scope, rng, thing, slot != complex_slot, involved)
        else:
            phrase = phrase_in(scope, rng, thing, way if slot == complex_slot else "plain", involved)
        if phrase is None:
            return None
        phrases[slot] = phrase
    inside = task.goal is not None and scope.things[things["{goal}"]].kind in CONTAINERS
    words: list[Word] = []
    for token in grammar.expand(rng, task.family, inside):
        words += phrases.get(token) or [Word(token)]
    text, mentions = _write(scope, _add_typing_habits(grammar, rng, words))
    return Command(task.family, task.target, task.goal, text, mentions, way or "")


def _add_typing_habits(grammar: Grammar, rng: Random, words: list[Word]) -> list[Word]:
    """Return the words with random case, full stop, unknown word and misspelling."""
    if words[-1].text not in PUNCTUATION and rng.random() < grammar.full_stop:
        words.append(Word("."))
    if grammar.unknown and rng.random() < grammar.unknown:
        words.insert(rng.randrange(len(words)), Word(_unknown_word(rng)))
    if grammar.typos and rng.random() < grammar.typos:
        i = rng.randrange(len(words))
        if not is_sided(words[i].text):  # a mirror image must find the word to replace it
            words[i] = words[i]._replace(text=_misspell(rng, words[i].text))
    case = rng.choices((_lower, _sentence, _upper), grammar.casing)[0]
    return case(words)


def _lower(words: list[Word]) -> list[Word]:
    """Return the words in lower case, except "I" and the letters on tiles."""
    return [word if len(word.text) == 1 else word._replace(text=word.text.lower()) for word in words]


def _upper(words: list[Word]) -> list[Word]:
    return [word._replace(text=word.text.upper()) for word in words]


def _sentence(words: list[Word]) -> list[Word]:
    """Return the words with a capital at the start and after each full stop."""
    starts = [i for i, _ in enumerate(words) if i == 0 or words[i - 1].text == "."]
    for i in starts:
        words[i] = words[i]._replace(text=words[i].text[0].upper() + words[i].text[1:])
    return words


def _misspell(rng: Random, text: str) -> str:
    """Swap, drop or double a letter inside a word of four or more letters."""
    if len(text) < 4:
        return text
    i = rng.randrange(1, len(text) - 2)
    middle = rng.choice((text[i + 1] + text[i], text[i], text[i] * 2 + text[i + 1]))
    return text[:i] + middle + text[i + 2 :]


def _unknown_word(rng: Random) -> str:
    """Return an invented word of one to three syllables."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3))) + "x"


def _write(scope: Scope, words: list[Word]) -> tuple[str, tuple[tuple[int, int, tuple[str, ...]], ...]]:
    """Return the text of some words, and the mentions: start, end and referents of each word of a phrase."""
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
