"""Success of a task, judged on the state of the simulation, never on the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, radians

import numpy as np
from numpy.typing import NDArray

from hamster.sim.clearance import is_round
from hamster.sim.contacts import ROBOT, TABLE
from hamster.sim.scene import Command, Thing
from hamster.sim.world import World

Array = NDArray[np.float64]
STILL_M_S = 0.12
PRESSED_M = 0.6 * 0.012
TOPPLED = cos(radians(60))
UPRIGHT = cos(radians(20))
TOUCH_M = 0.01


@dataclass(frozen=True, eq=False)
class Start:
    """The state at the start of a task: world_from_thing (4, 4) of each thing."""

    poses: Mapping[str, Array]


def begin(world: World) -> Start:
    """Start a task: record the poses of things and reset the presses of buttons."""
    world.clear_presses()
    return Start({thing.name: world.thing_pose(thing.name) for thing in world.scene.things})


def after_shift(world: World, start: Start, name: str) -> Start:
    """Return the start of a task after a thing was shifted: as if it had stood where it is now from the start.

    Args:
        world: the simulation.
        start: from `begin`.
        name: of the thing.
    """
    return Start({**start.poses, name: world.thing_pose(name)})


def is_success(world: World, command: Command, start: Start) -> bool:
    """Return whether a command is carried out in the present state.

    Args:
        world: the simulation.
        command: the task.
        start: from `begin`.

    pick_place: the target rests in or on the goal, let go. stack: likewise, on top and clear of the table.
    press: the button, and no other, was pressed by 60 % of its travel since the start. knock: the target has tilted by
    more than 60 degrees and nothing else that topples has. push: the target stands, touching or overlapping the goal.

    Raises:
        ValueError: if the family is unknown.
    """
    if command.family not in _JUDGES:
        raise ValueError(f"unknown family {command.family!r}; choose from {', '.join(_JUDGES)}")
    return _JUDGES[command.family](world, command, start)


def is_failed(world: World, command: Command, start: Start) -> bool:
    """Return whether a command can never be carried out any more: another button was pressed, or another thing fell.

    Args:
        world: the simulation.
        command: the task.
        start: from `begin`.
    """
    if command.family == "press":
        return bool(_pressed_buttons(world) - {command.target})
    return command.family == "knock" and bool(_fallen(world, start) - {command.target})


def _placed(world: World, command: Command, start: Start) -> bool:
    goal = world.scene.thing(str(command.goal))
    centre = centre_world(world, world.scene.thing(command.target))
    return (
        is_over(world, goal, centre[:2])
        and centre[2] > world.thing_pose(goal.name)[2, 3]
        and _rests_on(world, command.target, goal.name)
        and _let_go(world, command.target)
    )


def _stacked(world: World, command: Command, start: Start) -> bool:
    target, goal = world.scene.thing(command.target), world.scene.thing(str(command.goal))
    touched = world.touching(target.name)
    top = world.thing_pose(goal.name)[2, 3] + goal.size[2]
    return (
        is_over(world, goal, centre_world(world, target)[:2])
        and centre_world(world, target)[2] > top
        and goal.name in touched
        and TABLE not in touched
        and _let_go(world, target.name)
    )


def _pressed(world: World, command: Command, start: Start) -> bool:
    return _pressed_buttons(world) == {command.target}


def _knocked(world: World, command: Command, start: Start) -> bool:
    return _fallen(world, start) == {command.target}


def _pushed(world: World, command: Command, start: Start) -> bool:
    target, goal = world.scene.thing(command.target), world.scene.thing(str(command.goal))
    moved = np.linalg.norm(world.thing_pose(target.name)[:2, 3] - start.poses[target.name][:2, 3])
    return bool(
        footprint_gap_m(world, target, goal) <= TOUCH_M
        and world.thing_pose(target.name)[2, 2] > UPRIGHT
        and world.held_thing() != target.name
        and moved > TOUCH_M
    )


def _pressed_buttons(world: World) -> set[str]:
    """Return the buttons that were pressed since the start of the task."""
    return {name for name, depth_m in world.pressed_m.items() if depth_m >= PRESSED_M}


def _fallen(world: World, start: Start) -> set[str]:
    """Return the things that can topple and lie."""
    return {thing.name for thing in world.scene.things if thing.topples and fell(world, start, thing.name)}


def centre_world(world: World, thing: Thing) -> Array:
    """Return the centre (3,) of a thing's bounding box, metres."""
    return np.asarray(world.thing_pose(thing.name) @ [0.0, 0.0, thing.size[2] / 2, 1.0])[:3]


def is_over(world: World, goal: Thing, xy: Array, margin_m: float = 0.0) -> bool:
    """Return whether a point on the table is in the goal's footprint.

    Args:
        world: the simulation.
        goal: a thing.
        xy: (2,) metres.
        margin_m: by how much the footprint is enlarged.
    """
    pose = world.thing_pose(goal.name)
    local = pose[:2, :2].T @ (xy - pose[:2, 3])
    half = np.array(goal.size[:2]) / 2 + margin_m
    return bool(np.linalg.norm(local / half) <= 1 if is_round(goal) else (np.abs(local) <= half).all())


def _rests_on(world: World, name: str, support: str, visited: frozenset[str] = frozenset()) -> bool:
    """Return whether a chain of contacts between things leads from one to the other."""
    touched = world.touching(name) - visited - {ROBOT, TABLE}
    return support in touched or any(_rests_on(world, other, support, visited | {name}) for other in touched)


def _let_go(world: World, name: str) -> bool:
    return ROBOT not in world.touching(name) and world.speed_m_s(name) < STILL_M_S


def fell(world: World, start: Start, name: str) -> bool:
    """Return whether a thing has tilted by more than 60 degrees since the start of the task.

    Args:
        world: the simulation.
        start: from `begin`.
        name: of the thing.
    """
    return bool(world.thing_pose(name)[2, 2] < TOPPLED <= start.poses[name][2, 2])


def footprint_gap_m(world: World, a: Thing, b: Thing) -> float:
    """Return the distance of two things' outlines on the table, negative if they overlap.

    Args:
        world: the simulation.
        a: a thing.
        b: another one.
    """
    from_a, to_b = world.thing_pose(a.name)[:2, 3], world.thing_pose(b.name)[:2, 3]
    outlines = [_outline(world, a), _outline(world, b)]
    distance = float(np.linalg.norm(to_b - from_a))
    # Separating axes: the normals of both outlines and the line of centres.
    axes = [*outlines[0][1], *outlines[1][1], (to_b - from_a) / max(distance, 1e-9)]
    gaps = []
    for axis in axes:
        (low_a, high_a), (low_b, high_b) = (_span(points, axis) for points, _ in outlines)
        gaps.append(max(low_b - high_a, low_a - high_b))
    return float(max(gaps))


def _outline(world: World, thing: Thing) -> tuple[Array, list[Array]]:
    """Return points (N, 2) of the outline and its normals."""
    pose = world.thing_pose(thing.name)
    half_x, half_y = np.array(thing.size[:2]) / 2
    if is_round(thing):
        angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        corners = np.stack([half_x * np.cos(angles), half_y * np.sin(angles)], -1)
        return corners @ pose[:2, :2].T + pose[:2, 3], []
    corners = np.array([(half_x, half_y), (half_x, -half_y), (-half_x, -half_y), (-half_x, half_y)])
    return corners @ pose[:2, :2].T + pose[:2, 3], [pose[:2, 0], pose[:2, 1]]


def _span(points: Array, axis: Array) -> tuple[float, float]:
    along = points @ axis
    return float(along.min()), float(along.max())


_JUDGES: dict[str, Callable[[World, Command, Start], bool]] = {
    "pick_place": _placed,
    "stack": _stacked,
    "press": _pressed,
    "knock": _knocked,
    "push": _pushed,
}
