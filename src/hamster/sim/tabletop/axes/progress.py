"""How far an episode came, judged by physics alone, and what else happened in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.sim.contacts import ROBOT, TABLE
from hamster.sim.scene import Command, Thing
from hamster.sim.tasks import PRESSED_M, TOPPLED, after_shift, begin, centre_world, fell, is_over
from hamster.sim.world import Snapshot, World

Array = NDArray[np.float64]
REACHED_M = {"pick_place": 0.02, "press": 0.03, "knock": 0.04}
"""Distance of the tool's tip from a thing's bounding box at which it has reached the thing."""
LIFTED_M = 0.03
OVER_M = 0.03
"""Margin around the goal's footprint within which a held thing counts as over it."""
DISTURBED_M = 0.05


class Progress:
    """Watches an episode: call `update` after each control step.

    Stages, the highest ever counts: 0.25, the first thing that the tool comes near (of those that its family is about)
    is the target; 0.5, the target is lifted (pick and place) or touched; 0.75, it is carried over the goal, pressed or
    has fallen, whatever happened to other things; 1, success.

    Args:
        world: the simulation, in which the episode starts now.
        command: the task.

    Attributes:
        stage: the highest stage so far, without success.
        first_reached: name of the first thing that the tool came near; None if none yet.
        first_touched: name of the first thing that the robot touched; None if none yet.
        track_world: positions (3,) of the tool before the first control step and after each.
        snapshots: state of the simulation at the same times.
    """

    def __init__(self, world: World, command: Command) -> None:
        self._world, self._command = world, command
        self._start = begin(world)
        self.stage = 0.0
        self.first_reached: str | None = None
        self.first_touched: str | None = None
        self.track_world: list[Array] = [world.tool_pose_world[:3, 3]]
        self.snapshots: list[Snapshot] = [world.snapshot()]

    @property
    def n_steps(self) -> int:
        """Number of control steps so far."""
        return len(self.snapshots) - 1

    def update(self) -> None:
        """Take the state after a control step into account."""
        world = self._world
        self.track_world.append(world.tool_pose_world[:3, 3])
        self.snapshots.append(world.snapshot())
        if self.first_touched is None and (touched := world.touching(ROBOT) - {TABLE}):
            self.first_touched = min(touched)
        if self.first_reached is None:
            self.first_reached = self._reached()
        self.stage = max(self.stage, self._stage())

    def thing_was_shifted(self, name: str) -> None:
        """Take note that a thing was shifted by an event: it is not the robot's doing."""
        self._start = after_shift(self._world, self._start, name)

    def disturbed(self) -> list[str]:
        """Return the names of the things other than the target that have moved by 5 cm or fallen."""
        return [t.name for t in self._world.scene.things if t.name != self._command.target and self._is_disturbed(t)]

    def lies_on(self) -> str | None:
        """Return the name of the receiving thing whose footprint the target's centre is over now; None if none."""
        xy = centre_world(self._world, self._world.scene.thing(self._command.target))[:2]
        return next((t.name for t in self._world.scene.things if t.receives and is_over(self._world, t, xy)), None)

    def _is_disturbed(self, thing: Thing) -> bool:
        if thing.topples and fell(self._world, self._start, thing.name):
            return True
        moved_m = self._world.thing_pose(thing.name)[:3, 3] - self._start.poses[thing.name][:3, 3]
        return bool(np.linalg.norm(moved_m) > DISTURBED_M)

    def _reached(self) -> str | None:
        family = self._command.family
        near = {
            thing.name: _distance_m(self._world, thing, self.track_world[-1])
            for thing in self._world.scene.things
            if family == "pick_place" or (thing.button if family == "press" else thing.topples)
        }
        name = min(near, key=lambda name: near[name])
        return name if near[name] <= REACHED_M[family] else None

    def _stage(self) -> float:
        world, name = self._world, self._command.target
        if self._command.family == "pick_place":
            is_started = world.held_thing() == name and self._rise_m(name) > LIFTED_M
            is_moved = is_started and self._is_over_goal()
        else:
            is_started = ROBOT in world.touching(name)
            is_moved = self._is_pressed_or_fallen()
        reached = 0.25 if self.first_reached == name else 0.0
        return 0.75 if is_moved else 0.5 if is_started else reached

    def _rise_m(self, name: str) -> float:
        return float(self._world.thing_pose(name)[2, 3] - self._start.poses[name][2, 3])

    def _is_over_goal(self) -> bool:
        scene, goal = self._world.scene, str(self._command.goal)
        xy = centre_world(self._world, scene.thing(self._command.target))[:2]
        return is_over(self._world, scene.thing(goal), xy, OVER_M)

    def _is_pressed_or_fallen(self) -> bool:
        name = self._command.target
        if self._command.family == "press":
            return self._world.pressed_m[name] >= PRESSED_M
        return bool(self._world.thing_pose(name)[2, 2] < TOPPLED)


def _distance_m(world: World, thing: Thing, point_world: Array) -> float:
    """Return the distance of a point (3,) from a thing's bounding box, 0 inside of it."""
    pose = world.thing_pose(thing.name)
    local = pose[:3, :3].T @ (point_world - pose[:3, 3])
    half = np.array(thing.size) / 2
    outside = np.maximum(np.abs(local - [0.0, 0.0, half[2]]) - half, 0.0)
    return float(np.linalg.norm(outside))
