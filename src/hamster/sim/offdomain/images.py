"""Off-domain training images for a planner: random scenes, some in the middle of a task, with many instructions."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hamster.data import AnnotatedImage, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.expert import execute_part
from hamster.sim.generated_images import GeneratedImages
from hamster.sim.language import OFFDOMAIN, commands
from hamster.sim.offdomain.sample import imagine, sample_scene
from hamster.sim.world import World

INSTRUCTIONS, ABSENT = 24, 6  # per image, with and without a path
FEWEST = 4  # instructions with a path that an image must have
IN_PROGRESS = 0.3  # share of images in the middle of a task


class OffDomain(GeneratedImages):
    """A data set of `n` images; each depends only on seed and index, so a smaller set is a prefix of a larger one."""

    scheme = "offdomain"
    item = "off-domain image"
    in_progress: ClassVar[float] = IN_PROGRESS  # share of images in the middle of a task

    def __getitem__(self, index: int) -> AnnotatedImage:
        number = range(self.n)[index]
        rng = np.random.default_rng((self.seed, number))
        while (image := _draw(rng, self.in_progress)) is None:
            pass
        return replace(image, provenance=Provenance(self.scheme, extra={"seed": self.seed, "index": number}))


class OffDomainUnderWay(OffDomain):
    """Images that are all in the middle of a task, to evaluate replanning."""

    scheme = "offdomain-under-way"
    in_progress = 1.0


def _draw(rng: np.random.Generator, in_progress: float) -> AnnotatedImage | None:
    world = World(sample_scene(rng))
    try:
        if rng.random() < in_progress:
            _begin_task(world, rng)
        image = annotate(world, rng, OFFDOMAIN, INSTRUCTIONS, absent=ABSENT, imagine=imagine)
    finally:
        world.close()
    return image if len(image.annotations) >= FEWEST else None


def _begin_task(world: World, rng: np.random.Generator) -> None:
    """Carry out the first part of a random task, since replanning happens in the middle of one."""
    drawn = commands(world.scene, rng, 1, OFFDOMAIN)
    if drawn:
        execute_part(world, drawn[0], rng)
