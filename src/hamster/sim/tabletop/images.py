"""The tabletop as annotated images, to evaluate planners out of their training domain."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hamster.data import AnnotatedImage, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.expert import execute_part
from hamster.sim.generated_images import GeneratedImages
from hamster.sim.language import TABLETOP, Task
from hamster.sim.tabletop.demos import PAPER_MIX
from hamster.sim.tabletop.sample import imagine, sample
from hamster.sim.world import World

INSTRUCTIONS, ABSENT = 4, 2


class TabletopImages(GeneratedImages):
    """First images of `n` scenes of the demonstrations' distribution, families in turn.

    All feasible instructions of an image are phrasings of the scene's task; each image depends on the seed and its
    index alone.
    """

    scheme = "tabletop-images"
    is_under_way: ClassVar[bool] = False

    def __getitem__(self, index: int) -> AnnotatedImage:
        number, families = range(self.n)[index], list(PAPER_MIX)
        rng = np.random.default_rng((self.seed, number))
        while (image := _draw(rng, families[number % len(families)], self.is_under_way)) is None:
            pass
        return replace(image, provenance=Provenance(self.scheme, extra={"seed": self.seed, "index": number}))


class TabletopUnderWay(TabletopImages):
    """Images from the middle of those scenes' tasks: the expert has carried out a part of them."""

    scheme = "tabletop-under-way"
    is_under_way = True


def _draw(rng: np.random.Generator, family: str, is_under_way: bool) -> AnnotatedImage | None:
    scene, command = sample(rng, family)
    world = World(scene)
    try:
        if is_under_way:
            execute_part(world, command, rng)
        task = Task(family, command.target, command.goal)
        image = annotate(world, rng, TABLETOP, INSTRUCTIONS, among=[task], absent=ABSENT, imagine=imagine)
    finally:
        world.close()
    return image if image.annotations else None
