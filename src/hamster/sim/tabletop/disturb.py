"""Disturbances: moments in a task at which a robot may find itself, from which the expert goes on.

A demonstration that starts after one teaches what replanning meets: its path, its images and its gripper state are
those of the present, whatever the robot did before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import pi

import numpy as np

from hamster.geometry.keypose_motion import keypose_steps
from hamster.sim.expert import plan
from hamster.sim.layout import Bounds
from hamster.sim.scene import Command, Keypose, Scene, keypose_pose
from hamster.sim.tabletop.sample import other_tasks
from hamster.sim.tabletop.shift import sample_shift
from hamster.sim.tasks import UPRIGHT
from hamster.sim.world import World

AT_KEYPOSE = 0.75  # share of interruptions where a keypose was just reached, as when replanning at every one of them
START_BOUNDS: Bounds = (0.32, 0.66, -0.26, 0.26)
START_HEIGHT_M = (0.10, 0.32)
START_TURN_RAD = 0.8
NUDGED_M = 0.02  # a thing that moved by more was hit


def disturb(world: World, command: Command, rng: np.random.Generator) -> str | None:
    """Bring a world into the middle of a task, in a way that is drawn at random.

    Args:
        world: at the start of its scene.
        command: the task to be done from there on.
        rng: of the kind and moment of the disturbance.

    Returns:
        The name of the disturbance; None if the state that was reached is no good: a thing was hit or fell.
    """
    name = str(rng.choice(list(DISTURBANCES)))
    may_have_moved = DISTURBANCES[name](world, command, rng)
    return None if may_have_moved is None or not _is_tidy(world, may_have_moved) else name


def _shifted(world: World, command: Command, rng: np.random.Generator) -> set[str] | None:
    """Shift the target or its goal at some moment, which is noticed at once."""
    keyposes = _until_done(plan(world, command))
    _drive(world, keyposes, int(rng.integers(1, len(keyposes))), rng)
    return _shift(world, command, rng)


def _missed(world: World, command: Command, rng: np.random.Generator) -> set[str] | None:
    """Shift the target before it is reached; the robot goes on to where it was, and notices later."""
    keyposes = _until_done(plan(world, command))
    moved = _shift(world, replace(command, goal=None), rng)
    if moved is not None:
        _drive(world, keyposes, int(rng.integers(2, len(keyposes) + 1)), rng)
    return moved


def _changed(world: World, command: Command, rng: np.random.Generator) -> set[str] | None:
    """Start another task of the scene, with the same target if it is held by then."""
    others = other_tasks(world.scene, command)
    if not others:
        return None
    other = others[rng.integers(len(others))]
    keyposes = _until_done(plan(world, other))
    grasps_another = other.goal is not None and other.target != command.target
    _drive(world, keyposes, 1 if grasps_another else int(rng.integers(1, len(keyposes))), rng)
    return {command.target}


def _started_elsewhere(world: World, command: Command, rng: np.random.Generator) -> set[str] | None:
    """Start at a random place above the table, with the gripper open or closed."""
    x, y, z = (float(rng.uniform(*span)) for span in (START_BOUNDS[:2], START_BOUNDS[2:], START_HEIGHT_M))
    yaw = -pi / 2 + float(rng.uniform(-START_TURN_RAD, START_TURN_RAD))
    above = Keypose((x, y, START_HEIGHT_M[1]), yaw, True)
    _drive(world, [above, replace(above, position=(x, y, z), gripper_open=bool(rng.random() < 0.5))], 2, rng)
    return set()


DISTURBANCES: dict[str, Callable[[World, Command, np.random.Generator], set[str] | None]] = {
    "shifted": _shifted,
    "missed": _missed,
    "changed": _changed,
    "started_elsewhere": _started_elsewhere,
}
"""By name; each returns the names of the things that may have moved, or None if it is impossible here."""


def _drive(world: World, keyposes: list[Keypose], n: int, rng: np.random.Generator) -> None:
    """Drive a world to the n-th of some keyposes, or to somewhere on the way there."""
    stops_between = rng.random() >= AT_KEYPOSE
    pose, is_open = world.tool_pose_world, world.gripper_open
    for i, keypose in enumerate(keyposes[:n]):
        poses, openings = keypose_steps(pose, is_open, keypose_pose(keypose), keypose.gripper_open)
        n_steps = int(rng.integers(1, len(poses) + 1)) if stops_between and i == n - 1 else len(poses)
        for step_pose, opening in zip(poses[:n_steps], openings[:n_steps], strict=True):
            world.step(step_pose, opening)
        pose, is_open = poses[-1], keypose.gripper_open


def _until_done(keyposes: list[Keypose]) -> list[Keypose]:
    return [keypose for keypose in keyposes if not keypose.retreat]


def _shift(world: World, command: Command, rng: np.random.Generator) -> set[str] | None:
    """Shift the target or its goal, of which the goal if the target is held; return what may have moved."""
    shiftable = command
    if world.held_thing() == command.target and command.goal is not None:
        shiftable = replace(command, target=command.goal, goal=None)
    shift = sample_shift(rng, _present(world), shiftable)
    if shift is None:
        return None
    world.shift(shift.thing, shift.xy)
    return {command.target, shift.thing}


def _present(world: World) -> Scene:
    """Return the scene with its things where they are now."""
    places = [world.thing_pose(thing.name)[:2, 3].tolist() for thing in world.scene.things]
    things = [replace(thing, xy=(x, y)) for thing, (x, y) in zip(world.scene.things, places, strict=True)]
    return replace(world.scene, things=tuple(things))


def _is_tidy(world: World, may_move: set[str]) -> bool:
    """Return whether all things stand, and those that should not have moved have not."""
    for thing in world.scene.things:
        pose = world.thing_pose(thing.name)
        moved_m = float(np.linalg.norm(pose[:2, 3] - thing.xy))
        if pose[2, 2] < UPRIGHT or (thing.name not in may_move and moved_m > NUDGED_M):
            return False
    return True
