"""The scripted expert: keyposes from the present state, connected by straight lines, without motion planning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import atan2, cos, pi, radians, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import inverse
from hamster.geometry.keypose_motion import keypose_steps, yaw_of
from hamster.sim.clearance import (
    ALL_ROUND,
    FINGERTIP_M,
    PALM_M,
    distance_to_segment,
    freest_yaw,
    grasp_yaws,
    near_home,
    reach_along,
)
from hamster.sim.layout import towards_viewer
from hamster.sim.scene import Command, Keypose, Thing, keypose_pose
from hamster.sim.world import World

Array = NDArray[np.float64]
ABOVE_M = 0.08
LIFT_M = 0.10
CLEARANCE_M = 0.03
# Fingertip pads are 22 mm long.
HALF_PAD_M = 0.010
LOWEST_TIP_M = 0.008
DROP_M = 0.004
PRESS_M = 0.014
HAND_RADIUS_M = 0.06
KNOCK_GAP_M = 0.05
KNOCK_SWEEP_M = 0.12
LANE_M = 0.025
PUSH_GAP_M = 0.04
PUSH_OVERLAP_M = 0.002
BACK_OFF_M = 0.02


def plan(world: World, command: Command) -> list[Keypose]:
    """Return the keyposes that carry out a command from the present state, also if the target is already held.

    Raises:
        ValueError: if the family is unknown or needs a goal that the command lacks.
    """
    if command.family not in _FAMILIES:
        raise ValueError(f"unknown family {command.family!r}; choose from {', '.join(_FAMILIES)}")
    return _FAMILIES[command.family](world, command)


def execute(world: World, keyposes: Sequence[Keypose], on_step: Callable[[int], None] | None = None) -> int:
    """Drive the world through keyposes, open loop.

    Args:
        world: the simulation.
        keyposes: to reach in order.
        on_step: called after each control step with the index of the keypose that the step leads to.

    Returns:
        The number of control steps.
    """
    pose, is_open, count = world.tool_pose_world, world.gripper_open, 0
    for index, keypose in enumerate(keyposes):
        poses, openings = keypose_steps(pose, is_open, keypose_pose(keypose), keypose.gripper_open)
        for step_pose, opening in zip(poses, openings, strict=True):
            world.step(step_pose, opening)
            count += 1
            if on_step is not None:
                on_step(index)
        pose, is_open = poses[-1], keypose.gripper_open
    return count


def execute_part(world: World, command: Command, rng: np.random.Generator) -> None:
    """Carry out the first part of a task: some of its keyposes, but not the last one that acts on things.

    Args:
        world: at the start of the task.
        command: the task.
        rng: of the number of keyposes.
    """
    keyposes = [keypose for keypose in plan(world, command) if not keypose.retreat]
    execute(world, keyposes[: rng.integers(1, len(keyposes))])


def _carry(world: World, command: Command) -> list[Keypose]:
    """Return keyposes for pick and place, and for stacking."""
    grasp, at = _grasp(world, command)
    tool_from_thing = inverse(keypose_pose(at)) @ world.thing_pose(command.target)
    goal = _goal(world, command)
    spot = world.thing_pose(goal.name)[:3, 3] + [0.0, 0.0, goal.rest_height + DROP_M]
    # Where the tool has to be for the held thing's foot to be at the spot.
    offset = keypose_pose(at)[:3, :3] @ tool_from_thing[:3, 3]
    over = spot - offset
    lift_m = LIFT_M if grasp else 0.0
    travel = max(at.position[2] + lift_m, over[2] + ABOVE_M, _clear_height(world, command, at, over))
    stations = (((*at.position[:2], travel), False), ((*over[:2], travel), False), (over, True))
    carry = [Keypose(_vec(xyz), at.yaw, is_open) for xyz, is_open in stations]
    return [*grasp, *carry, Keypose(_vec((*over[:2], over[2] + ABOVE_M)), at.yaw, True, retreat=True)]


def _grasp(world: World, command: Command) -> tuple[list[Keypose], Keypose]:
    """Return the keyposes until the target is held (none if it is already), and the grasp."""
    thing = world.scene.thing(command.target)
    if world.held_thing() == thing.name:
        pose = world.tool_pose_world
        return [], Keypose(_vec(pose[:3, 3]), yaw_of(pose), False)
    x, y, foot = world.thing_pose(thing.name)[:3, 3]
    height = max(thing.grasp_height - HALF_PAD_M, thing.size[2] - PALM_M, LOWEST_TIP_M)
    goal = _goal(world, command)
    put = world.thing_pose(goal.name)[:3, 3] + [0.0, 0.0, goal.rest_height + height]
    spots = [np.array([x, y, foot + height]), put]
    yaw = freest_yaw(world, grasp_yaws(world, thing), spots, ignore={thing.name, goal.name})
    at = Keypose((x, y, foot + height), yaw, False)
    return [Keypose((x, y, foot + max(height, thing.size[2]) + ABOVE_M * 0.6), yaw, True), at], at


def _clear_height(world: World, command: Command, start: Keypose, end: Array) -> float:
    """Return the height of the tip at which the held thing passes over everything between two places."""
    hangs = start.position[2] - world.thing_pose(command.target)[2, 3]
    a, b = np.array(start.position[:2]), end[:2]
    highest = 0.0
    for thing in world.scene.things:
        if thing.name not in (command.target,):
            pose = world.thing_pose(thing.name)
            if distance_to_segment(pose[:2, 3], a, b) < max(thing.size[:2]) / 2 + HAND_RADIUS_M:
                highest = max(highest, pose[2, 3] + thing.size[2])
    return float(highest + hangs + CLEARANCE_M)


def _press(world: World, command: Command) -> list[Keypose]:
    thing = world.scene.thing(command.target)
    x, y, foot = world.thing_pose(thing.name)[:3, 3]
    top = foot + thing.size[2]
    yaw = freest_yaw(world, ALL_ROUND, [np.array([x, y, top])], ignore={thing.name})
    return [
        *_fist(world),
        Keypose((x, y, top + ABOVE_M * 0.6), yaw, False),
        Keypose((x, y, top - PRESS_M), yaw, False),
        Keypose((x, y, top + ABOVE_M), yaw, False, retreat=True),
    ]


def _fist(world: World) -> list[Keypose]:
    """Close the gripper where it is before it touches anything, so that a path starts with a closed gripper."""
    pose = world.tool_pose_world
    return [Keypose(_vec(pose[:3, 3]), yaw_of(pose), False)] if world.gripper_open else []


def _knock(world: World, command: Command) -> list[Keypose]:
    """Return keyposes that knock towards the viewer, or nearly so if something is in the way, at 3/4 of the height.

    So the stroke reads the same in every image, whichever arm makes it.
    """
    thing = world.scene.thing(command.target)
    place = world.thing_pose(thing.name)[:3, 3]
    x, y = towards_viewer(world.scene, place[:2])
    ways = [_knock_line(thing, place[:2], atan2(y, x) + radians(turn)) for turn in (0, 20, -20, 40, -40)]
    start, end = next((way for way in ways if _lane_is_free(world, thing, *way)), ways[0])
    return _sweep(world, thing, start, end, float(place[2] + 0.75 * thing.size[2]))


def _knock_line(thing: Thing, place: Array, heading: float) -> tuple[Array, Array]:
    along = np.array([cos(heading), sin(heading)])
    start = place - along * (max(thing.size[:2]) / 2 + KNOCK_GAP_M)
    return start, place + along * (KNOCK_SWEEP_M - KNOCK_GAP_M)


def _lane_is_free(world: World, thing: Thing, start: Array, end: Array) -> bool:
    """Return whether nothing tall stands between start and end, or where the thing falls."""
    fallen = end + (end - start) / np.linalg.norm(end - start) * (thing.size[2] - KNOCK_SWEEP_M + KNOCK_GAP_M)
    return all(
        distance_to_segment(world.thing_pose(t.name)[:2, 3], start, fallen) > max(t.size[:2]) / 2 + LANE_M
        for t in world.scene.things
        if t.topples and t.name != thing.name
    )


def _push(world: World, command: Command) -> list[Keypose]:
    """Along the line to the goal, low, until the feet of the two meet."""
    thing, goal = world.scene.thing(command.target), _goal(world, command)
    place, aim = world.thing_pose(thing.name)[:2, 3], world.thing_pose(goal.name)[:2, 3]
    along = (aim - place) / np.linalg.norm(aim - place)
    half = reach_along(world, thing, -along)
    start = place - along * (half + PUSH_GAP_M)
    # By the time it arrives, the pusher has turned one of its faces ahead.
    rest = aim - along * (reach_along(world, goal, -along) + min(thing.size[:2]) / 2 - PUSH_OVERLAP_M)
    end = rest - along * (half + FINGERTIP_M)
    foot = float(world.thing_pose(thing.name)[2, 3])
    height = foot + max(LOWEST_TIP_M, 0.25 * thing.size[2])
    *sweep, up = _sweep(world, thing, start, end, height)
    # A little back first: straight up, the pads' friction would lift or topple what they touch.
    x, y = end - along * BACK_OFF_M
    return [*sweep, Keypose((x, y, height), up.yaw, False, retreat=True), replace(up, position=(x, y, up.position[2]))]


def _sweep(world: World, thing: Thing, start: Array, end: Array, height: float) -> list[Keypose]:
    """Return keyposes down at the start, along to the end, and up; the closed fingers' broad side ahead."""
    yaw = near_home(atan2(end[1] - start[1], end[0] - start[0]) + pi / 2)
    over = max(thing.size[2], height) + ABOVE_M
    stations = ((start, over), (start, height), (end, height), (end, over))
    poses = [Keypose((float(xy[0]), float(xy[1]), z), yaw, False) for xy, z in stations]
    return [*_fist(world), *poses[:-1], replace(poses[-1], retreat=True)]


def _goal(world: World, command: Command) -> Thing:
    if command.goal is None:
        raise ValueError(f"a {command.family} command needs a goal thing; this one has none: {command.instruction!r}")
    return world.scene.thing(command.goal)


def _vec(array: ArrayLike) -> tuple[float, float, float]:
    x, y, z = np.asarray(array, np.float64).tolist()
    return x, y, z


_FAMILIES: dict[str, Callable[[World, Command], list[Keypose]]] = {
    "pick_place": _carry,
    "stack": _carry,
    "press": _press,
    "knock": _knock,
    "push": _push,
}
