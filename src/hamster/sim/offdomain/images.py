"""Off-domain training images for a planner: random scenes, some in the middle of a task, with many instructions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hamster.data import AnnotatedImage, Inputs, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.expert import execute, plan
from hamster.sim.language import OFFDOMAIN, commands
from hamster.sim.offdomain.sample import imagine, sample_scene
from hamster.sim.world import World

INSTRUCTIONS, ABSENT = 24, 6  # per image, with and without a path
FEWEST = 4  # instructions with a path that an image must have
IN_PROGRESS = 0.3  # share of images in the middle of a task


@dataclass(frozen=True)
class OffDomain:
    """A data set of `n` images; each depends only on seed and index, so a smaller set is a prefix of a larger one."""

    n: int
    seed: int = 0
    per_shard: int = 64

    @property
    def uri(self) -> str:
        """Return the data set's URI, "offdomain:N"."""
        return f"offdomain:{self.n}"

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> AnnotatedImage:
        number = range(self.n)[index]
        rng = np.random.default_rng((self.seed, number))
        while (image := _draw(rng)) is None:
            pass
        return replace(image, provenance=Provenance("offdomain", extra={"seed": self.seed, "index": number}))

    def inputs(self, index: int) -> Inputs:
        """Return what an image is made from: no files, only the seed and the index."""
        number = range(self.n)[index]
        return Inputs(f"off-domain image {number}", (), f"{(self.seed, number)}")


def _draw(rng: np.random.Generator) -> AnnotatedImage | None:
    world = World(sample_scene(rng))
    try:
        if rng.random() < IN_PROGRESS:
            _begin_task(world, rng)
        image = annotate(world, rng, OFFDOMAIN, INSTRUCTIONS, absent=ABSENT, imagine=imagine)
    finally:
        world.close()
    return image if len(image.annotations) >= FEWEST else None


def _begin_task(world: World, rng: np.random.Generator) -> None:
    """Carry out the first part of a random task, since replanning happens in the middle of one."""
    drawn = commands(world.scene, rng, 1, OFFDOMAIN)
    if drawn:
        keyposes = [keypose for keypose in plan(world, drawn[0]) if not keypose.retreat]
        execute(world, keyposes[: rng.integers(1, len(keyposes))])
