"""The tabletop as annotated images, to evaluate planners out of their training domain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hamster.data import AnnotatedImage, Inputs, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.language import TABLETOP, Task
from hamster.sim.tabletop.demos import PAPER_MIX
from hamster.sim.tabletop.sample import imagine, sample
from hamster.sim.world import World

INSTRUCTIONS, ABSENT = 4, 2


@dataclass(frozen=True)
class TabletopImages:
    """First images of `n` scenes of the demonstrations' distribution, families in turn.

    All feasible instructions of an image are phrasings of the scene's task; each image depends on the seed and its
    index alone.
    """

    n: int
    seed: int = 0
    per_shard: int = 64

    @property
    def uri(self) -> str:
        """The source as SCHEME:ARGUMENT: tabletop-images:N."""
        return f"tabletop-images:{self.n}"

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> AnnotatedImage:
        number, families = range(self.n)[index], list(PAPER_MIX)
        rng = np.random.default_rng((self.seed, number))
        while (image := _draw(rng, families[number % len(families)])) is None:
            pass
        return replace(image, provenance=Provenance("tabletop-images", extra={"seed": self.seed, "index": number}))

    def inputs(self, index: int) -> Inputs:
        """Return the inputs: numbers only, no files."""
        number = range(self.n)[index]
        return Inputs(f"tabletop image {number}", (), f"{(self.seed, number)}")


def _draw(rng: np.random.Generator, family: str) -> AnnotatedImage | None:
    scene, command = sample(rng, family)
    world = World(scene)
    try:
        task = Task(family, command.target, command.goal)
        image = annotate(world, rng, TABLETOP, INSTRUCTIONS, among=[task], absent=ABSENT, imagine=imagine)
    finally:
        world.close()
    return image if image.annotations else None
