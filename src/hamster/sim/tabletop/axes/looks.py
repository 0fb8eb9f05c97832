"""Kind, colour and mark of the things that a command is about, and the pairs of them in the demonstrations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.scene import Thing, Vec3
from hamster.sim.tabletop.axes.factors import FAMILIES, NEW_RECEIVERS, TRAIN, Factors, changed
from hamster.sim.tabletop.axes.solids import SOLIDS
from hamster.sim.tabletop.demos import mixed
from hamster.sim.tabletop.sample import PALETTE, RECEIVERS

Value = TypeVar("Value")
N_DEMOS, DEMOS_SEED = 320, 0
TRIES = 1000
SHADES: dict[str, Vec3] = {
    **PALETTE,
    "cyan": (0.10, 0.76, 0.80),
    "brown": (0.36, 0.21, 0.11),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.50, 0.50, 0.51),
}
"""RGB of each colour word."""
SIZES: dict[str, dict[str, float]] = {
    "book": {"length": 0.15, "width": 0.11, "height": 0.022},
    "bin": {"length": 0.14, "width": 0.12, "height": 0.05},
    "brick": {"length": 0.07, "width": 0.036, "height": 0.032},
    "can": {"radius": 0.024, "height": 0.075},
    "candle": {"radius": 0.015, "height": 0.11},
    "egg": {"radius": 0.021, "length": 0.062},
    "hammer": {"length": 0.1, "width": 0.032},
    "mushroom": {"radius": 0.03, "height": 0.06},
    "stick": {"radius": 0.013, "length": 0.11},
    "tall button": {"height": 0.05},
    "tower": {"width": 0.036, "height": 0.15},
    "tray": {"length": 0.16, "width": 0.12, "height": 0.02},
}
"""Proportions, metres, of the kinds that the demonstrations lack; within the ranges of the off-domain generator."""


@dataclass(frozen=True)
class Look:
    """What a thing looks like; `kind` may name a variant ("tall button")."""

    kind: str
    colour: str
    mark: str | None = None

    def thing(self, name: str) -> Thing:
        """Return a thing of this look, at the origin."""
        options: dict[str, Any] = dict(SIZES.get(self.kind, {}))
        if self.mark is not None:
            options["mark"] = self.mark
        build = SOLIDS.get(self.kind) or CATALOGUE[self.kind.removeprefix("tall ")]
        return build(name, self.colour, SHADES[self.colour], **options)


@dataclass(frozen=True)
class Involved:
    """The looks of a command's target and, in pick and place, goal."""

    target: Look
    goal: Look | None = None


def trained(rng: np.random.Generator, family: str, factors: Factors = TRAIN) -> Involved:
    """Draw target and goal of a demonstration, or with other pairs and single colours than in the demonstrations.

    Args:
        rng: random generator.
        family: of the task.
        factors: only its `kind_pairs`, `colour_pairs`, `single_colours` and `marks` are used.
    """
    if family != "pick_place":
        kind = "button" if family == "press" else "bottle"
        return Involved(Look(kind, choice(rng, factors.single_colours)))
    kinds, colours = choice(rng, factors.kind_pairs), choice(rng, factors.colour_pairs)
    mark = choice(rng, factors.marks) if kinds[1] == "tile" else None
    return Involved(Look(kinds[0], colours[0]), Look(kinds[1], colours[1], mark))


@cache
def demonstrated(family: str, n: int = N_DEMOS, seed: int = DEMOS_SEED) -> tuple[Involved, ...]:
    """Return target and goal of each demonstration of a family, in order.

    A demonstration's target and goal depend on its number alone; if the expert fails, only its layout is drawn again.

    Args:
        family: of the task.
        n: number of demonstrations of all families.
        seed: of the demonstrations.
    """
    return tuple(demonstration(seed, number) for number, name in enumerate(mixed(n)) if name == family)


def demonstration(seed: int, number: int) -> Involved:
    """Return target and goal of one demonstration."""
    family = mixed(number + 1)[number]
    return trained(pair_generator(seed, number, family), family)


def pair_generator(seed: int, number: int, family: str) -> np.random.Generator:
    """Return the generator of a demonstration's target and goal.

    Its last number is not 0: NumPy pads seeds with zeros, and (seed, number) is the generator of the layout.
    """
    return np.random.default_rng((seed, number, FAMILIES.index(family), 1))


def involved(rng: np.random.Generator, family: str, factors: Factors) -> Involved:
    """Draw target and goal of a scene: a pair of the demonstrations, changed in what the record holds out.

    Args:
        rng: random generator.
        family: of the task.
        factors: of the case.
    """
    names, known = changed(factors), demonstrated(family)
    pair = known[int(rng.integers(len(known)))]
    if names & {"kind_pairs", "colour_pairs", "single_colours"}:
        pair = _new_pair(rng, family, factors, known)
    if "marks" in names:
        while pair.goal is None or pair.goal.kind != "tile":
            pair = known[int(rng.integers(len(known)))]
        pair = replace(pair, goal=replace(pair.goal, mark=choice(rng, factors.marks)))
    if "kinds" in names:
        pair = _with_new_kind(pair, choice(rng, factors.kinds))
    if "colours" in names:
        pair = _recoloured(pair, choice(rng, factors.colours), of_goal=pair.goal is not None and rng.random() < 0.5)
    return pair


def _new_pair(rng: np.random.Generator, family: str, factors: Factors, known: tuple[Involved, ...]) -> Involved:
    """Draw a pair that no demonstration has, of a target and a goal that some demonstration has each."""
    if family != "pick_place":
        return trained(rng, family, factors)
    targets = {(pair.target.kind, pair.target.colour) for pair in known}
    goals = {(pair.goal.kind, pair.goal.colour) for pair in known if pair.goal is not None}
    for _ in range(TRIES):
        pair = trained(rng, family, factors)
        goal = pair.goal
        if goal is not None and (pair.target.kind, pair.target.colour) in targets and (goal.kind, goal.colour) in goals:
            return pair
    raise RuntimeError(f"none of {TRIES} pairs of held-out factors has parts that are both in the demonstrations")


def _with_new_kind(pair: Involved, kind: str) -> Involved:
    if kind in (*RECEIVERS, *NEW_RECEIVERS) and pair.goal is not None:
        return replace(pair, goal=Look(kind, pair.goal.colour))
    return replace(pair, target=Look(kind, pair.target.colour))


def _recoloured(pair: Involved, colour: str, of_goal: bool) -> Involved:
    if of_goal and pair.goal is not None:
        return replace(pair, goal=replace(pair.goal, colour=colour))
    return replace(pair, target=replace(pair.target, colour=colour))


def choice(rng: np.random.Generator, values: Collection[Value]) -> Value:
    """Draw from a collection, whatever the order in which a set holds its members."""
    ordered = sorted(values, key=repr)
    return ordered[int(rng.integers(len(ordered)))]
