"""A column hides a part of the way, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hamster.sim.expert import execute
from hamster.sim.tabletop.env import TabletopEnv
from hamster.sim.tabletop.occluded import HAND_M, WIDTH_M, sample_occluded, way
from hamster.sim.tabletop.sample import CAMERAS, FAMILIES


def _hits(start: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Return whether a line segment meets a box."""
    points = start + np.linspace(0, 1, 400)[:, None] * (end - start)
    return bool(((points >= low) & (points <= high)).all(-1).any())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_column_hides_a_part_of_the_way_but_neither_target_nor_goal_nor_tool(family):
    eye = np.array(CAMERAS["front"].eye)
    for seed in range(6):
        scene, command = sample_occluded(np.random.default_rng(seed), family)
        column = scene.things[-1]
        assert column.kind == "column" and not column.movable
        foot = np.array([*column.xy, 0.0])
        half = np.array([WIDTH_M / 2, WIDTH_M / 2, column.size[2] / 2])
        low, high = foot - half * [1, 1, 0], foot + half * [1, 1, 2]
        stations = way(scene, command)
        stretches = list(pairwise(stations))
        points = [a + share * (b - a) for a, b in stretches for share in np.linspace(0, 1, 40)]
        assert any(_hits(point, eye, low, high) for point in points)
        assert all(np.linalg.norm((point - foot)[:2]) > HAND_M - 0.01 for point in points)
        named = [scene.thing(name) for name in (command.target, command.goal) if name]
        in_sight = [stations[0], *(np.array([*thing.xy, thing.size[2] / 2]) for thing in named)]
        assert not any(_hits(point, eye, low, high) for point in in_sight)


def test_the_camera_sees_the_column_and_the_expert_gets_past_it():
    env = TabletopEnv("press", image_size=64, occluded=True)
    env.reset(seed=3)
    column, view = env.world.scene.things[-1], env.observation(("front",)).views["front"]
    assert view.camera is not None and view.depth_m is not None
    px, depth_m = view.camera.project([*column.xy, 0.8 * column.size[2]])
    assert view.depth_m[int(px[1]), int(px[0])] == pytest.approx(depth_m, abs=0.06)
    execute(env.world, env.expert_plan())
    assert env.is_success()
    env.close()
    with pytest.raises(ValueError, match="not both"):
        TabletopEnv("press", shifts=True, occluded=True)
