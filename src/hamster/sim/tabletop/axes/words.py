"""Grammars of the axes' instructions: that of the demonstrations, and what each record of factors changes in it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from hamster.sim.language import OFFDOMAIN, TABLETOP, Grammar, Task
from hamster.sim.language.generate import make_command
from hamster.sim.language.scope import Scope
from hamster.sim.layout import image_layout
from hamster.sim.scene import Command, Scene
from hamster.sim.tabletop.axes import frames
from hamster.sim.tabletop.axes.factors import TRAIN, Factors
from hamster.sim.tabletop.axes.looks import choice
from hamster.sim.tabletop.axes.solids import NAMELESS

DEMOS = replace(
    TABLETOP,
    name="axes-demos",
    generic=(),
    patterns={name: TABLETOP.patterns[name] for name in ("letter", "picture")},
    canonical=1.0,
    coloured_generic=0.0,
    complex_share=0.0,
)
"""Grammar of the demonstrations: canonical nouns and colour words, no relation, superlative or generic noun."""

GENERIC = ("object", "thing")
"""Nouns that fit everything."""

# What TABLETOP lacks, in the plainest words.
_PATTERNS = {
    **TABLETOP.patterns,
    "between": ("the <head> between <other> and <another>",),
    "ordinal": ("the <rank> <head> from the <side>",),
    "depth_ordinal": ("the <rank> <head> from the <side>",),
    "middle": ("the <head> in the middle",),
    "nearest_to": ("the <head> closest to <other>",),
    **{name: OFFDOMAIN.patterns[name] for name in ("fact_colour", "fact_kind", "fact_mark")},
}


def grammar(factors: Factors, slot: str = "{target}") -> Grammar:
    """Return the grammar of the instructions of a record.

    Args:
        factors: of the case.
        slot: "{target}" or "{goal}", which is referred to in the record's way.
    """
    result = DEMOS
    if factors.frames != TRAIN.frames:
        result = replace(result, rules=frames.RULES)
    if factors.references != TRAIN.references:
        result = replace(result, patterns=_PATTERNS, complex_slots=(slot,))
    if factors.facts:
        (split,) = factors.facts
        result = replace(result, facts=split, generic=GENERIC)
    if not factors.kinds.isdisjoint(NAMELESS):
        result = replace(result, nouns={**result.nouns, **dict.fromkeys(NAMELESS, GENERIC)}, generic=GENERIC)
    return result


def instruct(
    scene: Scene, task: Task, rng: np.random.Generator, factors: Factors = TRAIN, slot: str = "{target}"
) -> Command | None:
    """Draw an instruction that fits this task alone; None where there is none.

    Where a fact describes a thing, its colour is not named beside it, so that the fact is needed.

    Args:
        scene: the scene.
        task: the task.
        rng: random generator.
        factors: of the case.
        slot: "{target}" or "{goal}", which is referred to in the record's way.
    """
    scope = Scope(scene, grammar(factors, slot), image_layout(scene), None)
    command = make_command(scope, Random(int(rng.integers(2**63))), task, choice(rng, factors.references))
    described = task.goal if slot == "{goal}" else task.target
    if command is not None and factors.facts and described is not None:
        is_named = scene.thing(described).colour in command.instruction.lower().split()
        return None if is_named else command
    return command
