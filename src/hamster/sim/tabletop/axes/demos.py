"""The demonstrations that the axes depart from: `axes-demos:320`, drawn from the record `TRAIN` alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hamster.data import Episode, Inputs
from hamster.sim.expert import plan
from hamster.sim.tabletop.axes.looks import demonstration
from hamster.sim.tabletop.axes.sample import draw
from hamster.sim.tabletop.axes.words import DEMOS
from hamster.sim.tabletop.demos import Demonstrations, demonstrate
from hamster.sim.world import World


@dataclass(frozen=True)
class AxesDemonstrations(Demonstrations):
    """As `Demonstrations`, but with the kinds, colours, pairs and words of `factors.TRAIN` alone.

    Target and goal of a demonstration depend on the seed and its number alone, so that the pairs in them can be
    enumerated without executing anything (`looks.demonstrated`).
    """

    @property
    def uri(self) -> str:
        """The source as SCHEME:ARGUMENT: axes-demos:N."""
        return f"axes-demos:{self.n}"

    def inputs(self, index: int) -> Inputs:
        """Return the inputs: numbers only, no files."""
        return replace(super().inputs(index), name=f"axes-demos episode {range(self.n)[index]}")

    def _demonstrate(self, rng: np.random.Generator, family: str, extra: dict[str, Any]) -> Episode | None:
        scene, command = draw(rng, family, pair=demonstration(self.seed, extra["index"]))
        world = World(scene, self.image_size)
        episode = demonstrate(world, command, plan(world, command), DEMOS, extra)
        return (
            None if episode is None else replace(episode, provenance=replace(episode.provenance, source="axes-demos"))
        )
