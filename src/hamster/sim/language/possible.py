"""Which tasks a scene allows, judged by properties of its objects: graspable, receiving, wide enough."""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot
from typing import NamedTuple

from hamster.sim.scene import Scene, Thing

FAMILIES = ("pick_place", "press", "knock", "stack", "push")
CONTAINERS = frozenset({"bowl", "bin", "tray", "basket", "box", "pan"})
"""Kinds that objects are put into; onto all others."""
BLOCKS = frozenset({"cube", "brick"})
ROLLING = frozenset({"ball", "egg", "stick", "apple", "carrot"})
CLEARANCE_M = 0.01
LOW_M = 0.03
"""Largest height of a goal that objects are pushed to."""


class Task(NamedTuple):
    """A task family with the names of target and goal."""

    family: str
    target: str
    goal: str | None = None


def tasks(scene: Scene) -> list[Task]:
    """Return all tasks that a scene allows, in a fixed order.

    Knocking over is always towards the viewer.
    """
    return list(_tasks(scene))


def _tasks(scene: Scene) -> Iterator[Task]:
    for target in scene.things:
        if target.button:
            yield Task("press", target.name)
        if target.topples:
            yield Task("knock", target.name)
        for goal in scene.things:
            if goal is target or not target.movable or _reached(target, goal):
                continue
            if target.graspable and goal.receives and _holds(goal, target):
                yield Task("pick_place", target.name, goal.name)
            if target.graspable and _stackable(target, goal):
                yield Task("stack", target.name, goal.name)
            if _pushable(target) and goal.receives and goal.size[2] <= LOW_M:
                yield Task("push", target.name, goal.name)


def _reached(target: Thing, goal: Thing) -> bool:
    """Return whether the target is already at the goal."""
    apart = hypot(target.xy[0] - goal.xy[0], target.xy[1] - goal.xy[1])
    return apart < min(goal.size[:2]) / 2 + CLEARANCE_M


def _holds(goal: Thing, target: Thing) -> bool:
    if goal.kind in CONTAINERS:
        return hypot(*target.size[:2]) <= min(goal.size[:2])
    return target.kind not in ROLLING and max(target.size[:2]) <= 1.2 * min(goal.size[:2])


def _stackable(target: Thing, goal: Thing) -> bool:
    if target.kind not in BLOCKS or goal.kind not in BLOCKS:
        return False
    seat = min(goal.size[:2])
    return seat >= 0.8 * min(target.size[:2]) and 2 * seat >= max(target.size[:2])


def _pushable(target: Thing) -> bool:
    """Return whether an object slides: it neither topples nor rolls, and is compact enough for a central push."""
    slides = target.graspable and not target.topples and target.kind not in ROLLING
    return slides and target.size[2] < 2 * min(target.size[:2])
