"""Annotate images of scenes: instructions, each with the expert's path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Annotation, ImageObject, Mention, Provenance
from hamster.geometry import Camera
from hamster.label import OUT_OF_VIEW, path_from_poses
from hamster.path import Path2D
from hamster.sim.expert import plan
from hamster.sim.language import Grammar, ImageLayout, Imagine, Task, absent_commands, commands, tasks
from hamster.sim.layout import image_layout
from hamster.sim.scene import Command, Keypose, keypose_pose
from hamster.sim.world import World

NOTHING = 255
# A thing with fewer pixels is not fully visible, however small it is.
FEWEST_PX = 48.0
# Approximate share of a thing's bounding box that its silhouette fills.
SILHOUETTE = 0.6


def annotate(
    world: World,
    rng: np.random.Generator,
    grammar: Grammar,
    n: int,
    camera: str = "front",
    among: Sequence[Task] | None = None,
    absent: int = 0,
    imagine: Imagine | None = None,
) -> AnnotatedImage:
    """Sample up to n instructions for the present state of a world and plan a path for each.

    Args:
        world: to annotate.
        rng: of the instructions.
        grammar: of the instructions.
        n: number of instructions.
        camera: its name.
        among: tasks to sample from; by default all that the scene allows, or those of the thing in the hand.
        absent: number of instructions about absent things, which `imagine` samples. They have a random generator of
            their own: nothing else depends on their number.
        imagine: samples absent things.

    Returns:
        The image, the instructions with their paths and mentions, and the segmentation of the things.
    """
    view = world.observe((camera,)).views[camera]
    segmentation = segment(world, camera)
    names = [thing.name for thing in world.scene.things]
    layout, visible = appearance(segmentation, image_layout(world.scene, camera), names)
    held = world.held_thing()
    if held is not None and held in layout:
        visible[held] = 1.0  # the fingers hide a part of it, but it is known to be there
    if held is not None and among is None:
        among = [task for task in tasks(world.scene) if task.target == held and task.goal]
    drawn = commands(world.scene, rng, n, grammar, layout, visible, among=among)
    index = {thing.name: i for i, thing in enumerate(world.scene.things)}
    paths: dict[tuple[str, str, str | None], Path2D | None] = {}
    annotations = []
    for command in drawn:
        key = (command.family, command.target, command.goal)
        if key not in paths:
            paths[key] = planned_path(world, command, view.camera)
        if (path := paths[key]) is not None:
            annotations.append(_annotation(command, path, index))
    objects = tuple(ImageObject(t.colour, t.kind) for t in world.scene.things)
    absent_drawn: list[Command] = []
    if absent and imagine is not None:
        absent_drawn = absent_commands(world.scene, rng.spawn(1)[0], absent, grammar, layout, visible, imagine)
    absent_instructions = tuple(command.instruction for command in absent_drawn)
    return AnnotatedImage(view, annotations, Provenance("sim"), objects, segmentation, absent_instructions)


def segment(world: World, camera: str) -> NDArray[np.uint8]:
    """Return the index of the thing in each pixel (H, W) uint8, 255 for none."""
    thing_of_body = {thing.name: i for i, thing in enumerate(world.scene.things)}
    thing_of_geom = np.full(world.model.ngeom + 1, NOTHING, np.uint8)
    for geom in range(world.model.ngeom):
        body = str(world.model.body(world.model.geom_bodyid[geom]).name).removesuffix("_cap")
        thing_of_geom[geom] = thing_of_body.get(body, NOTHING)
    return np.asarray(thing_of_geom[world.renderer.segment(world.data, camera)])


def _annotation(command: Command, path: Path2D, index: Mapping[str, int]) -> Annotation:
    mentions = [Mention(a, b, tuple(index[name] for name in names)) for a, b, names in command.mentions]
    goal = None if command.goal is None else index[command.goal]
    return Annotation(command.instruction, path, command.family, mentions, index[command.target], goal)


def planned_path(world: World, command: Command, camera: Camera | None) -> Path2D | None:
    """Return the expert's plan from the present state to the end of the task as a path on the image.

    Args:
        world: the simulation.
        command: the task.
        camera: calibrated.

    Returns None if it starts, grasps, releases or ends out of view; other waypoints are moved to the image's border.
    """
    if camera is None:
        raise ValueError("a path needs a calibrated camera")
    keyposes = [keypose for keypose in plan(world, command) if not keypose.retreat]
    poses, opened = tool_polyline(world, keyposes)
    label = path_from_poses(poses, opened, camera)
    needed = {0, len(label.path) - 1, *(i for i, _ in label.path.events)}
    if any(label.visible[i] == OUT_OF_VIEW for i in needed):
        return None
    return replace(label.path, height_m=poses[label.frames, 2, 3])  # the table is the plane z = 0


def tool_polyline(world: World, keyposes: list[Keypose]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return tool poses along straight lines through the keyposes, and the gripper command from each pose on."""
    poses, opened = [world.tool_pose_world], [float(world.gripper_open)]
    for keypose in keyposes:
        start, end = poses[-1], keypose_pose(keypose)
        for share in np.linspace(0, 1, 9)[1:]:
            step = end.copy()
            step[:3, 3] = start[:3, 3] + share * (end[:3, 3] - start[:3, 3])
            poses.append(step)
            opened.append(opened[-1])
        opened[-1] = float(keypose.gripper_open)
    return np.stack(poses), np.array(opened)


def appearance(
    segmentation: NDArray[np.uint8], modelled: ImageLayout, names: list[str]
) -> tuple[ImageLayout, dict[str, float]]:
    """Return where each thing is visible in the image, and approximately which share of it.

    Args:
        segmentation: (H, W), indices into `names`.
        modelled: the layout by geometry alone, without occlusion.
        names: of the things.
    """
    height, width = segmentation.shape
    layout, visible = {}, {}
    for i, name in enumerate(names):
        rows, columns = np.nonzero(segmentation == i)
        if len(rows) == 0:
            continue
        u, v = (columns.min() + columns.max() + 1) / 2 / width, (rows.min() + rows.max() + 1) / 2 / height
        area = modelled[name][2]
        layout[name] = (float(u), float(v), area)
        visible[name] = min(1.0, len(rows) / max(area * SILHOUETTE * segmentation.size, FEWEST_PX))
    return layout, visible
