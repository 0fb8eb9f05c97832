"""A thing that is shifted to another place while the robot is on its way to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, pi

import numpy as np

from hamster.sim.language import TABLETOP, Task, commands
from hamster.sim.layout import footprint_radius
from hamster.sim.scene import Command, Scene
from hamster.sim.tabletop.sample import WORKSPACE, is_feasible, sample

STEPS = (4, 10)  # control steps after which it comes, both included: the arm has not arrived yet
DISTANCE_M = (0.10, 0.18)
GOAL_SHARE = 1 / 3  # of shifts in tasks with a goal
GAP_M = 0.035
TRIES = 100
# A relation ("the cube left of the plate") may not hold any more after a shift.
PLAIN = replace(TABLETOP, complex_share=0.0)


@dataclass(frozen=True)
class Shift:
    """A thing's move to another place on the table, in no time.

    Attributes:
        after_step: the number of control steps of the episode before it.
        thing: its name.
        xy: where its foot is afterwards, metres.
    """

    after_step: int
    thing: str
    xy: tuple[float, float]


def sample_with_shift(rng: np.random.Generator, family: str) -> tuple[Scene, Command, Shift]:
    """Sample a scene, a task whose instruction holds before and after a shift, and the shift.

    Args:
        rng: of all three.
        family: as of `sample`.
    """
    while True:
        scene, command = sample(rng, family)
        plain = commands(scene, rng, 1, PLAIN, among=[Task(command.family, command.target, command.goal)])
        shift = sample_shift(rng, scene, command)
        if plain and shift is not None:
            return scene, plain[0], shift


def sample_shift(rng: np.random.Generator, scene: Scene, command: Command) -> Shift | None:
    """Sample a shift of the command's target, or of its goal, to a free place from which the task can be done.

    Args:
        rng: of the shift.
        scene: with everything where it is before the shift.
        command: the task.

    Returns:
        The shift; None if no free place was drawn.
    """
    is_goal = command.goal is not None and rng.random() < GOAL_SHARE
    thing = scene.thing(str(command.goal) if is_goal else command.target)
    step = int(rng.integers(STEPS[0], STEPS[1] + 1))
    others, radius = [other for other in scene.things if other is not thing], footprint_radius(thing)
    for _ in range(TRIES):
        distance_m, angle = rng.uniform(*DISTANCE_M), rng.uniform(-pi, pi)
        x, y = thing.xy[0] + distance_m * np.cos(angle), thing.xy[1] + distance_m * np.sin(angle)
        inside = WORKSPACE[0] <= x - radius and x + radius <= WORKSPACE[1]
        inside = inside and WORKSPACE[2] <= y - radius and y + radius <= WORKSPACE[3]
        is_free = all(hypot(x - o.xy[0], y - o.xy[1]) > radius + footprint_radius(o) + GAP_M for o in others)
        shift = Shift(step, thing.name, (float(x), float(y)))
        if inside and is_free and is_feasible(shifted(scene, shift), command):
            return shift
    return None


def shifted(scene: Scene, shift: Shift) -> Scene:
    """Return the scene as it is after a shift."""
    return replace(scene, things=tuple(replace(t, xy=shift.xy) if t.name == shift.thing else t for t in scene.things))
