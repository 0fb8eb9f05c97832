"""Commands that cannot be carried out, because an object that they name is absent.

An imaginary object that differs from all objects in the scene is added to it, and commands about it are generated as if
it were there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hamster.sim.language.generate import commands
from hamster.sim.language.grammar import Grammar
from hamster.sim.language.possible import tasks
from hamster.sim.language.scope import SIMILAR_KINDS, ImageLayout, Spot
from hamster.sim.scene import Command, Scene, Thing

Imagine = Callable[[np.random.Generator], Thing]
"""A function that draws an object from the distribution of a scene sampler."""

TWINS = 0.2
"""Probability of two identical imaginary objects, which commands distinguish by position or size, as they do for
objects that are there."""
FAR_AWAY_M = 100.0


def absent_commands(
    scene: Scene,
    rng: np.random.Generator,
    n: int,
    grammar: Grammar,
    layout: ImageLayout,
    visible: Mapping[str, float] | None,
    imagine: Imagine,
) -> list[Command]:
    """Draw up to `n` commands whose target or goal, not both, is absent from the scene; its name starts with "absent".

    The phrase for the other object, if there is one, refers to it unambiguously.

    Args:
        scene: the scene.
        rng: random generator.
        n: largest number of commands.
        grammar: grammar of the sentences.
        layout: (u, v, area) of objects in the image, see `commands`.
        visible: visible share of each object, see `commands`; None if all are visible.
        imagine: draws an object as the scene's sampler would.
    """
    result: list[Command] = []
    for _ in range(6 * n):
        imaginary = _imaginary(scene, rng, imagine)
        if imaginary is None:
            continue
        names = [thing.name for thing in imaginary]
        wider = replace(scene, things=(*scene.things, *imaginary))
        candidates = [task for task in tasks(wider) if (task.target in names) != (task.goal in names)]
        spots = {**layout, **{name: _spot(rng) for name in names}}
        all_visible = None if visible is None else {**visible, **dict.fromkeys(names, 1.0)}
        result += commands(wider, rng, 1, grammar, spots, all_visible, among=candidates, absent=names)
        if len(result) == n:
            break
    return result


def _imaginary(scene: Scene, rng: np.random.Generator, imagine: Imagine) -> tuple[Thing, ...] | None:
    """Return one object, or two identical ones, that the scene lacks; None if the drawn object resembles one in it.

    It shares its kind with an object in the scene, or its colour, or neither.
    """
    thing, like = imagine(rng), scene.things[int(rng.integers(len(scene.things)))]
    draw = rng.random()
    if draw < 0.4:
        thing = replace(like, colour=thing.colour)
    elif draw < 0.7:
        thing = replace(thing, colour=like.colour)
    if any(_alike(thing, other) for other in scene.things):
        return None
    twins = 2 if rng.random() < TWINS and thing.mark is None else 1
    return tuple(replace(thing, name=f"absent{i}", xy=(FAR_AWAY_M, i * FAR_AWAY_M)) for i in range(twins))


def _alike(thing: Thing, other: Thing) -> bool:
    same = (thing.kind, thing.colour, thing.mark) == (other.kind, other.colour, other.mark)
    return same or other.kind in SIMILAR_KINDS.get(thing.kind, ())


def _spot(rng: np.random.Generator) -> Spot:
    u, v = rng.uniform(0.15, 0.85, 2)
    return float(u), float(v), float(rng.uniform(0.005, 0.04))
