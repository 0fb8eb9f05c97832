"""What stands around is seen, and nothing else about it matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hamster.sim.annotate import segment
from hamster.sim.offdomain.sample import sample_scene
from hamster.sim.offdomain.scenery import scenery
from hamster.sim.world import World

BOUNDS = (0.3, 0.7, -0.2, 0.3)


def test_scenery_is_varied_and_keeps_off_the_place_of_the_things() -> None:
    drawn = [scenery(BOUNDS, np.random.default_rng(i)) for i in range(200)]
    assert 0.05 < np.mean([not parts for parts in drawn]) < 0.3
    for part in (part for parts in drawn for part in parts):
        flat, wall = part.size[2] < 0.001 and part.shape == "box", part.size[2] > 1
        x, y, z = part.pos
        amid = BOUNDS[0] < x < BOUNDS[1] and BOUNDS[2] < y < BOUNDS[3]
        assert flat or wall or not amid or z > 0.2, part  # links of an idle arm may lean over the things


def test_scenery_changes_pictures_but_not_the_physics_or_what_masks_are_of() -> None:
    changed = []
    for scene in [s for s in map(sample_scene, map(np.random.default_rng, range(50))) if len(s.scenery) > 2][:6]:
        states, pictures, masks = [], [], []
        for each in (scene, replace(scene, scenery=())):
            world = World(each)
            states.append(world.data.qpos.copy())
            pictures.append(world.observe(("front",)).views["front"].rgb)
            masks.append(segment(world, "front"))
            world.close()
        assert np.array_equal(*states)
        assert set(np.unique(masks[0])) <= set(np.unique(masks[1]))  # it may hide a thing, never be one
        changed.append(not np.array_equal(*pictures))
    assert sum(changed) >= 2


def test_shadows_are_cast_where_a_light_says_so_and_nowhere_else() -> None:
    scene = next(s for s in map(sample_scene, map(np.random.default_rng, range(50))) if s.lights[0].casts_shadow)
    dark = []
    for casts in (True, False):
        lights = tuple(replace(light, casts_shadow=casts and light.casts_shadow) for light in scene.lights)
        world = World(replace(scene, lights=lights))
        dark.append(world.observe(("front",)).views["front"].rgb.astype(float).mean())
        world.close()
    assert dark[0] < dark[1]
    shares = np.mean([s.lights[0].casts_shadow for s in map(sample_scene, map(np.random.default_rng, range(60)))])
    assert shares == pytest.approx(0.5, abs=0.2)
