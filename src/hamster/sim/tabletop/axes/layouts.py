"""Digests of layouts, by which a scene of an axis is told from every demonstration."""

from __future__ import annotations

import hashlib

import numpy as np

from hamster.sim.scene import Scene
from hamster.sim.tabletop.axes.looks import DEMOS_SEED, N_DEMOS, demonstration
from hamster.sim.tabletop.axes.sample import draw
from hamster.sim.tabletop.demos import mixed

REDRAWN = 3
"""Layouts of each demonstration: its first, and those that follow where the expert fails."""


def layout_digest(scene: Scene) -> str:
    """Return a digest of what stands where: kinds, colours, marks and places, to the millimetre.

    Args:
        scene: the scene; cameras, lights, surfaces and the robot do not count.
    """
    things = sorted(
        (thing.kind, thing.colour, thing.mark or "", *(round(1000 * metres) for metres in thing.xy))
        for thing in scene.things
    )
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]


def demonstrated_layouts(n: int = N_DEMOS, seed: int = DEMOS_SEED, redrawn: int = REDRAWN) -> frozenset[str]:
    """Return the digests of the layouts of `axes-demos:N`, without executing anything.

    Args:
        n: number of demonstrations.
        seed: of the demonstrations.
        redrawn: layouts of each.
    """
    digests = set()
    for number, family in enumerate(mixed(n)):
        rng = np.random.default_rng((seed, number))  # as `Demonstrations` draws
        pair = demonstration(seed, number)
        digests |= {layout_digest(draw(rng, family, pair=pair)[0]) for _ in range(redrawn)}
    return frozenset(digests)
