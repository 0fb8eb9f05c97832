"""Draws commands that nobody can carry out: what they name is not there.

A thing that is not in the scene is imagined, unlike all that is, and spoken of as if it stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hamster.sim.language.generate import commands
from hamster.sim.language.grammar import Grammar
from hamster.sim.language.possible import tasks
from hamster.sim.language.scope import ALSO, ImageLayout, Spot
from hamster.sim.scene import Command, Scene, Thing

Imagine = Callable[[np.random.Generator], Thing]
"""Draws a thing such as a scene's sampler puts on the table."""

TWINS = 0.2
"""How often two like things are imagined: they are told apart by place or size, as those are that are there."""
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
    """Draws up to `n` commands whose target, or else whose goal, is not in the scene; its name begins with "absent".

    The arguments are those of `commands`. What is said of the other thing, if there is one, fits it alone.
    """
    found: list[Command] = []
    for _ in range(6 * n):
        fiction = _fiction(scene, rng, imagine)
        if fiction is None:
            continue
        names = [thing.name for thing in fiction]
        wider = replace(scene, things=(*scene.things, *fiction))
        among = [task for task in tasks(wider) if (task.target in names) != (task.goal in names)]
        spots = {**layout, **{name: _spot(rng) for name in names}}
        seen = None if visible is None else {**visible, **dict.fromkeys(names, 1.0)}
        found += commands(wider, rng, 1, grammar, spots, seen, among=among, absent=names)
        if len(found) == n:
            break
    return found


def _fiction(scene: Scene, rng: np.random.Generator, imagine: Imagine) -> tuple[Thing, ...] | None:
    """One thing, or two alike, of a look that nothing in the scene has; None if the draw was unlucky.

    It shares its kind with something present, or its colour, or neither.
    """
    thing, like = imagine(rng), scene.things[int(rng.integers(len(scene.things)))]
    way = rng.random()
    if way < 0.4:
        thing = replace(like, colour=thing.colour)
    elif way < 0.7:
        thing = replace(thing, colour=like.colour)
    if any(_alike(thing, other) for other in scene.things):
        return None
    twins = 2 if rng.random() < TWINS and thing.mark is None else 1
    return tuple(replace(thing, name=f"absent{i}", xy=(FAR_AWAY_M, i * FAR_AWAY_M)) for i in range(twins))


def _alike(thing: Thing, other: Thing) -> bool:
    same = (thing.kind, thing.colour, thing.mark) == (other.kind, other.colour, other.mark)
    return same or other.kind in ALSO.get(thing.kind, ())


def _spot(rng: np.random.Generator) -> Spot:
    u, v = rng.uniform(0.15, 0.85, 2)
    return float(u), float(v), float(rng.uniform(0.005, 0.04))
