"""The tabletop with one visible factor at a time replaced by the off-domain generator's: which of them matter?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hamster.data import AnnotatedImage, Provenance
from hamster.sim.annotate import annotate
from hamster.sim.generated_images import GeneratedImages
from hamster.sim.language import TABLETOP, Task
from hamster.sim.offdomain.sample import ARM_NAMES, camera, lights, printed, shade_of
from hamster.sim.offdomain.scenery import scenery, surface
from hamster.sim.scene import Scene, Thing, Vec3
from hamster.sim.tabletop.demos import PAPER_MIX
from hamster.sim.tabletop.sample import PALETTE, WORKSPACE, sample
from hamster.sim.world import World

Change = Callable[[Scene, np.random.Generator], Scene]


def _arm(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, arm=str(rng.choice(ARM_NAMES)), arm_look=int(rng.integers(1 << 30)))


def _table(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, table=surface(rng), floor=surface(rng))


def _shades(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, things=tuple(_reshaded(thing, shade_of(thing.colour, rng)) for thing in scene.things))


def _reshaded(thing: Thing, shade: Vec3) -> Thing:
    parts = (replace(p, rgba=(*shade, p.rgba[3])) if p.rgba[:3] == PALETTE[thing.colour] else p for p in thing.parts)
    return replace(thing, parts=tuple(parts))


def _patterns(scene: Scene, rng: np.random.Generator) -> Scene:
    things = (t if t.mark else printed(t, PALETTE[t.colour], rng) for t in scene.things)
    return replace(scene, things=tuple(things))


def _lights(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, lights=lights(rng))


def _surroundings(scene: Scene, rng: np.random.Generator) -> Scene:
    while not (parts := scenery(WORKSPACE, rng)):  # some off-domain scenes have none
        pass
    return replace(scene, scenery=parts)


def _camera(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, cameras={**scene.cameras, "front": camera(WORKSPACE, rng)})


FACTORS: dict[str, Change] = {
    "nothing": lambda scene, rng: scene,
    "arm": _arm,
    "table and floor": _table,
    "shades of colours": _shades,
    "patterns on things": _patterns,
    "lights": _lights,
    "surroundings": _surroundings,
    "camera": _camera,
}


class TabletopFactors(GeneratedImages):
    """First images of tabletop scenes in which one factor is replaced, a row of results for each of `FACTORS` in turn.

    All rows have the same scenes and tasks; each image depends on the seed and its index alone.
    """

    scheme = "tabletop-factors"

    def __getitem__(self, index: int) -> AnnotatedImage:
        number, names, families = range(self.n)[index], list(FACTORS), list(PAPER_MIX)
        (scene_number, row), image = divmod(number, len(names)), None
        rng = np.random.default_rng((self.seed, scene_number))
        while image is None:  # until the instructions' things are in view with and without the change
            scene, command = sample(rng, families[scene_number % len(families)])
            task = Task(command.family, command.target, command.goal)
            image = _draw(scene, task, np.random.default_rng((self.seed, scene_number, 1)))
        changed, rng = image if row == 0 else None, np.random.default_rng((self.seed, scene_number, 1 + row))
        while changed is None:
            changed = _draw(FACTORS[names[row]](scene, rng), task, rng)
        extra = {"seed": self.seed, "index": number, "row": names[row]}
        return replace(changed, provenance=Provenance(self.scheme, extra=extra))


def _draw(scene: Scene, task: Task, rng: np.random.Generator) -> AnnotatedImage | None:
    world = World(scene)
    try:
        image = annotate(world, rng, TABLETOP, 1, among=[task])
    finally:
        world.close()
    return image if image.annotations else None
