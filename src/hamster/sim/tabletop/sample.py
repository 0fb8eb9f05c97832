"""The in-domain distribution: a Panda at a wooden table, nine kinds of objects in eight colours, one front camera."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import TABLETOP, Task, commands, tasks
from hamster.sim.layout import Bounds, image_layout, scatter, towards_viewer, world_camera
from hamster.sim.scene import CameraSpec, Command, Light, Scene, Surface, Thing, Vec3

FAMILIES = ("pick_place", "press", "knock", "stack", "push")
WORKSPACE: Bounds = (0.32, 0.68, -0.28, 0.28)
GAP_M = 0.035
PALETTE: dict[str, Vec3] = {
    "red": (0.80, 0.10, 0.10),
    "orange": (0.95, 0.50, 0.08),
    "yellow": (0.93, 0.83, 0.12),
    "green": (0.13, 0.60, 0.18),
    "blue": (0.12, 0.28, 0.80),
    "purple": (0.48, 0.16, 0.62),
    "pink": (0.96, 0.55, 0.72),
    "black": (0.07, 0.07, 0.08),
}
MARKS = ("A", "B", "H", "S", "T", "X", "star", "heart", "moon", "sun")
CAMERAS = {
    "front": CameraSpec(eye=(1.12, 0.0, 0.72), target=(0.46, 0.0, 0.085), fovy_deg=37.0),
    "wrist": CameraSpec(eye=(0.09, 0.0, -0.06), target=(0.015, 0.0, 0.05), fovy_deg=75.0, mount="tool"),
}
LAMPS = (Light((0.25, 0.2, -1.0)), Light((-0.6, -0.3, -0.8), (0.25, 0.25, 0.25), (0.1, 0.1, 0.1)))
# Camera poses at evaluation: as in training, or moved by 25 degrees around its target, and higher.
VIEWPOINTS = {
    "front": CAMERAS["front"],
    "moved": CameraSpec(eye=(1.06, 0.28, 0.82), target=(0.46, 0.0, 0.085), fovy_deg=37.0),
}
OF_A_VIEW = ("left", "right", "front", "behind", "near", "close", "far", "big", "small")
TOYS = ("cube", "cylinder", "ball", "bottle", "cup")
RECEIVERS = ("plate", "bowl", "tile")
# Enough of the same kind in each scene that only the instruction, or the path, tells which is meant.
RECIPES: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    "pick_place": ((TOYS, 3), (RECEIVERS, 2)),
    "press": ((("button",), 3), (TOYS + RECEIVERS, 2)),
    "knock": ((("bottle",), 3), (("cube", "ball", "plate", "tile", "button"), 2)),
    "stack": ((("cube",), 3), (("cylinder", "ball", "plate", "bowl"), 2)),
    "push": ((("cube", "cylinder"), 2), (("plate", "tile"), 2), (("ball", "button"), 1)),
}


def sample(rng: np.random.Generator, family: str) -> tuple[Scene, Command]:
    """Sample a scene in which the family's task can be done, and the task.

    Raises:
        ValueError: if there is no such family.
    """
    if family not in RECIPES:
        raise ValueError(f"unknown family {family!r}; choose from {', '.join(FAMILIES)}")
    while True:
        scene = _scene(rng, family)
        if scene is None:
            continue
        drawn = commands(scene, rng, 1, TABLETOP, families=(family,))
        if drawn and is_feasible(scene, drawn[0]):
            return scene, drawn[0]


def seen_from(scene: Scene, command: Command, viewpoint: str, rng: np.random.Generator) -> tuple[Scene, Command]:
    """Return the same scene and task with one more camera, named as its viewpoint.

    The instruction is kept, unless it refers to the view from the front: then one that holds for the viewpoint is
    sampled. All else is kept, also the camera "front", towards which the expert knocks things over.

    Args:
        scene: to add a camera to.
        command: its task.
        viewpoint: name in `VIEWPOINTS`.
        rng: of the new instruction.

    Raises:
        ValueError: if there is no such viewpoint.
    """
    if viewpoint not in VIEWPOINTS:
        raise ValueError(f"unknown viewpoint {viewpoint!r}; choose from {', '.join(VIEWPOINTS)}")
    scene = replace(scene, cameras={**scene.cameras, viewpoint: VIEWPOINTS[viewpoint]})
    if not any(word in command.instruction.lower() for word in OF_A_VIEW):
        return scene, command
    task = Task(command.family, command.target, command.goal)
    rephrased = commands(scene, rng, 1, TABLETOP, image_layout(scene, viewpoint), among=[task])
    return scene, rephrased[0] if rephrased else command


def other_tasks(scene: Scene, command: Command) -> list[Command]:
    """Return other tasks of the command's family in its scene with the same instruction: other things are meant."""
    others = [task for task in tasks(scene) if task.family == command.family]
    others = [task for task in others if (task.target, task.goal) != (command.target, command.goal)]
    candidates = [replace(command, target=task.target, goal=task.goal, mentions=()) for task in others]
    return [other for other in candidates if is_feasible(scene, other)]


def sample_alike(rng: np.random.Generator, family: str) -> Scene:
    """Sample a scene with three possible targets of the same kind, in three colours.

    Args:
        rng: of the scene.
        family: "pick_place", "press" or "knock".
    """
    pool, count = RECIPES[family][0]
    others = [str(rng.choice(pool)) for pool, count in RECIPES[family][1:] for _ in range(count)]
    while True:
        scene = _assemble([str(rng.choice(pool))] * count + others, rng)
        if scene is not None:
            return scene


def _scene(rng: np.random.Generator, family: str) -> Scene | None:
    return _assemble([str(rng.choice(pool)) for pool, count in RECIPES[family] for _ in range(count)], rng)


def _assemble(kinds: list[str], rng: np.random.Generator) -> Scene | None:
    """Place things of these kinds on the table; None if they do not fit."""
    return lay_out(_dress(kinds, rng), rng)


def lay_out(things: list[Thing], rng: np.random.Generator, gap_m: float = GAP_M) -> Scene | None:
    """Place things on the wooden table before the Panda; None if they do not fit.

    Args:
        things: to place, turned as they shall be.
        rng: of places, the tool's start and the shade of the wood.
        gap_m: smallest distance between the feet of two things.
    """
    placed = scatter(things, WORKSPACE, rng, gap_m)
    if placed is None:
        return None
    # The hand starts across the robot's view, as at home.
    x, y, z = rng.uniform((0.34, -0.12, 0.24), (0.46, 0.12, 0.32))
    shade = rng.uniform(0.9, 1.05)
    return Scene(
        arm="panda",
        things=placed,
        cameras=CAMERAS,
        table=Surface("wood", (0.72 * shade, 0.55 * shade, 0.38 * shade), (0.58 * shade, 0.42 * shade, 0.27 * shade)),
        floor=Surface("plain", (0.34, 0.36, 0.40), (0.34, 0.36, 0.40)),
        lights=LAMPS,
        start_tool=(float(x), float(y), float(z), -pi / 2 + float(rng.uniform(-0.3, 0.3))),
    )


def _dress(kinds: list[str], rng: np.random.Generator) -> list[Thing]:
    """Choose colours and marks: two things of a kind never share a colour, two tiles never a mark."""
    names = list(PALETTE)
    taken: set[tuple[str, str]] = set()
    marks = list(rng.permutation(MARKS))
    things = []
    for i, kind in enumerate(kinds):
        colour = next(c for c in rng.permutation(names) if (kind, c) not in taken)
        taken.add((kind, colour))
        options = {"mark": str(marks.pop())} if kind == "tile" else {}
        thing = CATALOGUE[kind](f"thing{i}", str(colour), PALETTE[colour], **options)
        things.append(turned(thing, rng))
    return things


def imagine(rng: np.random.Generator) -> Thing:
    """Sample a thing of the kinds in scenes."""
    (thing,) = _dress([str(rng.choice((*TOYS, *RECEIVERS, "button")))], rng)
    return thing


def turned(thing: Thing, rng: np.random.Generator) -> Thing:
    """Return a thing at a random yaw; one with a mark stays readable from the front."""
    # Marks are readable from the front camera, whose right is +y: a tile's x axis points there.
    yaw = pi / 2 + rng.uniform(-0.25, 0.25) if thing.mark else rng.uniform(-pi, pi)
    return Thing(**{**thing.__dict__, "yaw": float(yaw)})


def is_feasible(scene: Scene, command: Command) -> bool:
    """Return whether bottles have room to fall, and a pushed thing has a free lane.

    All bottles need room, not only the target: otherwise the room would tell a policy the target without the path.
    """
    if command.family == "knock":
        return all(can_fall(scene, thing) for thing in scene.things if thing.topples)
    if command.family == "push" and command.goal is not None:
        return _can_slide(scene, command.target, command.goal)
    return True


def can_fall(scene: Scene, thing: Thing) -> bool:
    """Return whether a thing can fall towards the viewer, in view, without hitting anything."""
    start, fall = np.array(thing.xy), towards_viewer(scene, thing.xy)
    in_view = _in_view(scene, [*(start + 0.08 * fall), 0.75 * thing.size[2]])
    return in_view and _is_free(scene, start, start + 0.24 * fall, (thing.name,))


def _can_slide(scene: Scene, target: str, goal: str) -> bool:
    """Return whether a thing can slide to the goal, with room for the gripper behind it."""
    start, end = np.array(scene.thing(target).xy), np.array(scene.thing(goal).xy)
    start = start - (end - start) / np.linalg.norm(end - start) * 0.09
    near = bool(np.linalg.norm(end - start) <= 0.45)
    return near and _reachable(start) and _is_free(scene, start, end, (target, goal))


def _is_free(scene: Scene, start: np.ndarray, end: np.ndarray, involved: tuple[str, ...]) -> bool:
    others = [thing for thing in scene.things if thing.name not in involved]
    return all(_distance_to_segment(np.array(t.xy), start, end) > max(t.size[:2]) / 2 + 0.05 for t in others)


def _in_view(scene: Scene, point_world: list[float]) -> bool:
    uv, _ = world_camera(scene.cameras["front"], 1, 1).project(point_world)
    return bool(uv.min() > 0.02 and uv.max() < 0.98)


def _reachable(xy: np.ndarray) -> bool:
    return bool(0.28 <= xy[0] <= 0.72 and abs(xy[1]) <= 0.33)


def _distance_to_segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    return float(np.linalg.norm(point - start - along * (end - start)))
