"""Clearance of the hand between things: yaws to grasp at, collisions, extents of things."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import atan2, cos, hypot, pi, radians, sin

import numpy as np
from numpy.typing import NDArray

from hamster.sim.scene import Thing
from hamster.sim.world import World

Array = NDArray[np.float64]
# In its home pose the hand lies across the robot's view: its fingers open along -y of the world.
HOME_YAW = -pi / 2
ALL_ROUND = tuple(HOME_YAW + radians(turn) for turn in (0, 15, -15, 30, -30, 45, -45, 60, -60, 75, -75, 90))
FINGERTIP_M = 0.012
# The palm is 45 mm above the tip (less a margin here), 200 mm wide and 60 mm thick.
PALM_M = 0.041
PALM_HALF_M = 0.1
PALM_THICK_M = 0.035


def grasp_yaws(world: World, thing: Thing) -> list[float]:
    """Return equally good yaws at which fingers close across a thing; beside the handle if it has one."""
    pose = world.thing_pose(thing.name)
    across = atan2(pose[1, 1], pose[0, 1])
    if not is_round(thing):
        square = abs(thing.size[0] - thing.size[1]) < 0.002
        turns: tuple[int, ...] = (0, 90) if square else (0,)
    elif any(hypot(*part.pos[:2]) > 0.25 * min(thing.size[:2]) for part in thing.parts):
        turns = (0, 40, -40)  # a handle along its x axis
    else:
        return list(ALL_ROUND)
    return [across + radians(turn) for turn in turns]


def freest_yaw(world: World, yaws: Sequence[float], spots: Sequence[Array], ignore: Collection[str]) -> float:
    """Return the yaw with the fewest collisions of the hand, of these the one nearest to home.

    Args:
        world: the simulation.
        yaws: candidates, rad.
        spots: positions (3,) of the tip that are checked.
        ignore: names of things that may be touched.
    """
    others = [thing for thing in world.scene.things if thing.name not in ignore]

    def cost(yaw: float) -> tuple[int, float]:
        hits = sum(_hits(world, thing, spot, yaw) for thing in others for spot in spots)
        return hits, round(abs(yaw - HOME_YAW), 6)

    return min((near_home(yaw) for yaw in yaws), key=cost)


def _hits(world: World, thing: Thing, tip: Array, yaw: float) -> bool:
    """Return whether a hand with its tip there would hit a thing with its palm or an open finger."""
    place, radius = world.thing_pose(thing.name)[:3, 3], max(thing.size[:2]) / 2
    along = np.array([cos(yaw), sin(yaw)])
    fingers = [tip[:2] + side * along * (world.arm.max_opening_m / 2 + FINGERTIP_M) for side in (1, -1)]
    palm = tip[:2] - along * PALM_HALF_M, tip[:2] + along * PALM_HALF_M
    top = place[2] + thing.size[2]
    by_finger = top > tip[2] and min(np.linalg.norm(place[:2] - f) for f in fingers) < radius + FINGERTIP_M
    by_palm = top > tip[2] + PALM_M and distance_to_segment(place[:2], *palm) < radius + PALM_THICK_M
    return bool(by_finger or by_palm)


def near_home(yaw: float) -> float:
    """Return the equivalent yaw within a quarter turn of the hand's home yaw."""
    return HOME_YAW + (yaw - HOME_YAW + pi / 2) % pi - pi / 2


def is_round(thing: Thing) -> bool:
    """Return whether a thing's main part is round about the vertical."""
    return thing.parts[0].shape != "box"


def reach_along(world: World, thing: Thing, direction: Array) -> float:
    """Return the distance from a thing's centre to its edge in a direction on the table.

    Args:
        world: the simulation.
        thing: round, or taken as its bounding box.
        direction: (2,) unit vector.
    """
    if is_round(thing):
        return max(thing.size[:2]) / 2
    local = np.abs(world.thing_pose(thing.name)[:2, :2].T @ direction)
    return float(min(half / max(part, 1e-9) for half, part in zip(np.array(thing.size[:2]) / 2, local, strict=True)))


def distance_to_segment(point: Array, start: Array, end: Array) -> float:
    """Return the distance between a point (2,) and the segment from `start` (2,) to `end` (2,)."""
    way = end - start
    part = np.clip((point - start) @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(point - start - part * way))
