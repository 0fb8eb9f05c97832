"""The tabletop as annotated images: not to learn from, but to see how well a planner does where it has never been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hamster.data import AnnotatedImage, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.language import TABLETOP, Task
from hamster.sim.tabletop.demos import PAPER_MIX
from hamster.sim.tabletop.sample import sample
from hamster.sim.world import World

INSTRUCTIONS = 4


def annotated_images(n: int, seed: int = 0, start: int = 0) -> Iterator[AnnotatedImage]:
    """Yields first images start … n - 1 of the scenes that are demonstrated, their families in turn.

    All instructions of an image are phrasings of the scene's task; each image depends on the seed and its number alone.
    """
    families = list(PAPER_MIX)
    for i in range(start, n):
        rng = np.random.default_rng((seed, i))
        image = None
        while image is None:
            image = _draw(rng, families[i % len(families)])
        yield replace(image, provenance=Provenance(f"tabletop-images:{n}", extra={"seed": seed, "index": i}))


def _draw(rng: np.random.Generator, family: str) -> AnnotatedImage | None:
    scene, command = sample(rng, family)
    world = World(scene)
    try:
        task = Task(family, command.target, command.goal)
        image = annotate(world, rng, TABLETOP, INSTRUCTIONS, among=[task])
    finally:
        world.close()
    return image if image.annotations else None
