"""The tabletop with a column between the camera and a part of the way that runs through the air."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hamster.sim.layout import footprint_radius
from hamster.sim.scene import Command, Part, Scene, Thing
from hamster.sim.tabletop.sample import CAMERAS, WORKSPACE, sample

Array = NDArray[np.float64]
WIDTH_M = 0.05
HEIGHT_M = 0.34
MIDDLE = (0.25, 0.75)  # shares of a stretch of the way between which the hidden point lies
TOWARDS_CAMERA = (0.15, 0.45)  # shares of the line from that point to the camera between which the column stands
HAND_M = 0.11  # the column's axis keeps this far from the way, seen from above
SEEN_M = 0.07  # and from the lines of sight to what the instruction names and to the tool
GAP_M = 0.02
CARRY_M = 0.16  # approximate height of the tool on its way from the target to the goal
ABOVE_TARGET_M = 0.14
TRIES = 200


def sample_occluded(rng: np.random.Generator, family: str) -> tuple[Scene, Command]:
    """Sample a scene and a task of the tabletop, with a column that hides a part of the way but no end of it.

    Args:
        rng: of all.
        family: as of `sample`.
    """
    while True:
        scene, command = sample(rng, family)
        column = _column(rng, scene, command)
        if column is not None:
            return replace(scene, things=(*scene.things, column)), command


def _column(rng: np.random.Generator, scene: Scene, command: Command) -> Thing | None:
    eye, stations = np.array(CAMERAS["front"].eye), way(scene, command)
    named = [scene.thing(name) for name in (command.target, command.goal) if name is not None]
    in_sight = [stations[0], *(np.array([*thing.xy, thing.size[2] / 2]) for thing in named)]
    for _ in range(TRIES):
        stretch = int(rng.integers(len(stations) - 1))
        hidden = stations[stretch] + rng.uniform(*MIDDLE) * (stations[stretch + 1] - stations[stretch])
        foot = hidden + rng.uniform(*TOWARDS_CAMERA) * (eye - hidden)
        fits = foot[2] < HEIGHT_M - 0.03 and WORKSPACE[2] - 0.1 <= foot[1] <= WORKSPACE[3] + 0.1
        fits = fits and all(_distance(foot, *pair) > HAND_M for pair in pairwise(stations))
        fits = fits and all(_distance(foot, point, eye) > SEEN_M for point in in_sight)
        if fits and all(np.hypot(*(foot[:2] - t.xy)) > WIDTH_M + footprint_radius(t) + GAP_M for t in scene.things):
            return _thing(f"thing{len(scene.things)}", (float(foot[0]), float(foot[1])))
    return None


def way(scene: Scene, command: Command) -> list[Array]:
    """Return approximate stations (3,) of the tool in the air: at the start, above the target, and above the goal."""
    stations = [np.array(scene.start_tool[:3]), np.array([*scene.thing(command.target).xy, ABOVE_TARGET_M])]
    if command.goal is not None:
        stations += [np.array([*scene.thing(name).xy, CARRY_M]) for name in (command.target, command.goal)]
    return stations


def _thing(name: str, xy: tuple[float, float]) -> Thing:
    half = WIDTH_M / 2
    part = Part("box", (half, half, HEIGHT_M / 2), (0.0, 0.0, HEIGHT_M / 2), (0.5, 0.5, 0.52, 1.0))
    return Thing(name, "column", "grey", (WIDTH_M, WIDTH_M, HEIGHT_M), (part,), xy=xy, movable=False)


def _distance(point: Array, start: Array, end: Array) -> float:
    """Return the distance of a point from a line segment, seen from above."""
    along, offset = (end - start)[:2], (point - start)[:2]
    share = np.clip(offset @ along / max(float(along @ along), 1e-12), 0, 1)
    return float(np.linalg.norm(offset - share * along))
