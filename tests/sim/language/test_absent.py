from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import OFFDOMAIN, TABLETOP, Grammar, absent_commands
from hamster.sim.language.absent import SIMILAR_KINDS, Imagine
from hamster.sim.layout import image_layout
from hamster.sim.offdomain.sample import imagine as imagine_offdomain
from hamster.sim.scene import Command, Scene, Thing
from hamster.sim.tabletop.sample import imagine as imagine_tabletop
from hamster.sim.textures import LETTERS, PICTURES

from .scenes import INDOMAIN, random_scene
from .test_generate import phrases_alone

BOTH = pytest.mark.parametrize(
    ("grammar", "kinds", "imagine"),
    [(TABLETOP, INDOMAIN, imagine_tabletop), (OFFDOMAIN, tuple(CATALOGUE), imagine_offdomain)],
    ids=["tabletop", "offdomain"],
)


def drawn(grammar: Grammar, kinds: tuple[str, ...], imagine: Imagine, n: int) -> list[tuple[Scene, Command]]:
    found = []
    for i in range(n):
        scene = random_scene(np.random.default_rng(i), kinds)
        rng = np.random.default_rng((i, 1))
        commands = absent_commands(scene, rng, 6, grammar, image_layout(scene), None, imagine)
        found += [(scene, command) for command in commands]
    return found


def fits(thing: Thing, phrase: str, grammar: Grammar) -> bool:
    """Whether a thing may be meant by the first noun of a phrase and all that stands before it, read word by word."""
    words = phrase.split()
    nouns = {*grammar.generic, *grammar.kinds_by_noun, "letter", "picture"}
    at = next(i for i, word in enumerate(words) if word in nouns)
    kinds = grammar.kinds_by_noun.get(words[at], frozenset({thing.kind}))
    colours = [grammar.colours_by_word.get(w, {w}) for w in words[:at] if w in COLOURS or w in grammar.colours_by_word]
    marks = {word for word in words if word in MARKS}
    same_mark = not marks or thing.mark in marks
    return thing.kind in kinds and all(thing.colour in c for c in colours) and same_mark


COLOURS = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white", "grey", "brown", "cyan"}
MARKS = {*LETTERS, *PICTURES}


@BOTH
def test_nothing_that_is_there_fits_the_phrase_to_an_independent_reader(grammar, kinds, imagine) -> None:
    alone = replace(phrases_alone(grammar), complex_share=0.4)
    found = drawn(alone, kinds, imagine, 80)
    for scene, command in found:
        phrases = command.instruction.split(" / ")
        which = 0 if command.target.startswith("absent") else 1
        assert not any(fits(thing, phrases[which], grammar) for thing in scene.things), (command, scene.things)
    assert len(found) > 400


@BOTH
def test_one_thing_is_missing_and_the_other_is_there(grammar, kinds, imagine) -> None:
    roles: Counter[str] = Counter()
    for scene, command in drawn(grammar, kinds, imagine, 60):
        names = [command.target] if command.goal is None else [command.target, command.goal]
        missing = [name.startswith("absent") for name in names]
        assert sum(missing) == 1
        assert {n for n, gone in zip(names, missing, strict=True) if not gone} <= {t.name for t in scene.things}
        roles["target" if missing[0] else "goal"] += 1
        roles[command.family] += 1
    assert min(roles[name] for name in ("target", "goal", "press", "knock", "pick_place")) > 8


def test_where_a_can_stands_nobody_says_that_there_is_no_cylinder() -> None:
    checked, plain = 0, replace(phrases_alone(OFFDOMAIN), complex_share=0.0)
    for scene, command in drawn(plain, tuple(CATALOGUE), imagine_offdomain, 80):
        phrase = command.instruction.split(" / ")[0 if command.target.startswith("absent") else 1]
        *article_and_colour, kind = phrase.split()
        if len(article_and_colour) <= 2 and kind in SIMILAR_KINDS:
            assert not {thing.kind for thing in scene.things} & SIMILAR_KINDS[kind]
            checked += 1
    assert checked > 30


def test_a_seed_gives_the_same_commands_and_nothing_else_is_drawn() -> None:
    scene = random_scene(np.random.default_rng(3), INDOMAIN)
    rng = np.random.default_rng(5)
    arguments = (4, TABLETOP, image_layout(scene), None, imagine_tabletop)
    first, second = (absent_commands(scene, np.random.default_rng(9), *arguments) for _ in range(2))
    assert first == second and len(first) == 4
    rng.spawn(1)  # what `annotate` draws them from
    assert rng.random() == np.random.default_rng(5).random()
