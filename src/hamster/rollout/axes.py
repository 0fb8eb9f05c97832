"""The scenes of the axes of generalisation as environments of the closed loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.planner.grounding import grounding
from hamster.rollout.result import Rollout
from hamster.rollout.tabletop import FRONT_PX, TabletopEnvironment
from hamster.sim.annotate import planned_path, segment, tool_polyline
from hamster.sim.expert import plan
from hamster.sim.layout import world_camera
from hamster.sim.tabletop.axes.adherence import adherence
from hamster.sim.tabletop.axes.attribution import failure
from hamster.sim.tabletop.axes.factors import AXES, FAMILIES
from hamster.sim.tabletop.axes.layouts import layout_digest
from hamster.sim.tabletop.axes.progress import Progress
from hamster.sim.tabletop.axes.sample import sample
from hamster.sim.tabletop.axes.seeds import run_and_number
from hamster.sim.tabletop.demos import IMAGE_SIZE
from hamster.sim.world import Snapshot

STRATA = tuple(f"{axis}/{family}" for axis in AXES for family in FAMILIES)
"""The families of the suite of all axes: "AXIS/FAMILY"."""


class AxisEnvironment(TabletopEnvironment):
    """One scene of an axis.

    Args:
        axis: a key of `AXES`.
        family: of the task.
        seed: of the scene, as `seeds.scene_seed` returns it.
        image_size: of the policy's views, pixels.
    """

    def __init__(self, axis: str, family: str, seed: int, image_size: int = IMAGE_SIZE) -> None:
        self.sample = sample(axis, family, *run_and_number(seed))
        super().__init__(family, seed, image_size=image_size)
        self._progress = Progress(self._env.world, self.sample.command)

    def _begin(self, seed: int) -> None:
        self._env.begin(self.sample.scene, self.sample.command, self.sample.shift)

    def step(self, tool_pose_world: NDArray[np.float64], gripper_open: bool) -> bool:
        """Run one control step, and take note of what it did; see `TabletopEnvironment.step`."""
        is_done = super().step(tool_pose_world, gripper_open)
        self._progress.update()
        shift = self.sample.shift
        if shift is not None and self._progress.n_steps == shift.after_step:
            self._progress.thing_was_shifted(shift.thing)
        return is_done

    def episode_metrics(self, rollout: Rollout) -> dict[str, Any]:
        """Return what is recorded about a finished episode beside its success.

        Args:
            rollout: the record of the episode.

        Returns:
            case: name of the case of the axis. layout: digest of what stands where. partial: 0 to 1, see `Progress`.
            clean: success, and nothing else disturbed. disturbed: names of those things. first_reached, first_touched:
            names of things or None; "thing0" is the target, "thing1" the goal. lies_on: name of the receiving thing
            below the target, or None. path_distance_cm, path_distance_p95_cm, path_distance_px: how far the tool was
            from the path, until it came nearest to the path's end; None without a path. failure: one of
            `attribution.Failure`. final_state_sha256: see `World.state_sha256`.
        """
        progress, command = self._progress, self.sample.command
        disturbed, lies_on, end = progress.disturbed(), progress.lies_on(), self._env.world.snapshot()
        final_state = self._env.world.state_sha256()
        is_other_goal = command.goal is not None and lies_on not in (None, command.goal)
        distances = self._path_distances(rollout)
        distance_m = None if distances is None else float(distances[0].mean())
        paths_right = [] if rollout.success else self._paths_right(rollout)
        self._env.world.restore(end)
        reason = failure(
            rollout.outcome, paths_right, distance_m, progress.first_reached == command.target, is_other_goal
        )
        return {
            "case": self.sample.case,
            "layout": layout_digest(self.sample.scene),
            "partial": 1.0 if rollout.success else progress.stage,
            "clean": rollout.success and not disturbed,
            "disturbed": disturbed,
            "first_reached": progress.first_reached,
            "first_touched": progress.first_touched,
            "lies_on": lies_on,
            "path_distance_cm": None if distance_m is None else round(100 * distance_m, 2),
            "path_distance_p95_cm": None
            if distances is None
            else round(100 * float(np.percentile(distances[0], 95)), 2),
            "path_distance_px": None if distances is None else round(float(distances[1].mean()), 2),
            "failure": reason,
            "final_state_sha256": final_state,
        }

    def _drawn(self, rollout: Rollout) -> list[tuple[Path2D, Snapshot, int, int]]:
        """Return each path that was followed with the state it was drawn in, and its first and last control step."""
        steps, states = rollout.path_steps, self._progress.snapshots
        ends = [*steps[1:], self._progress.n_steps][: len(steps)]
        return [(path, states[step], step, end) for path, step, end in zip(rollout.paths, steps, ends, strict=True)]

    def _path_distances(self, rollout: Rollout) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the tool's distances (T,) from the path in force, in metres and in pixels."""
        world = self._env.world
        camera = world_camera(world.scene.cameras["front"], FRONT_PX, FRONT_PX)
        metres, pixels = [], []
        for path, state, start, end in self._drawn(rollout):
            world.restore(state)
            keyposes = [keypose for keypose in plan(world, self.sample.command) if not keypose.retreat]
            expert = tool_polyline(world, keyposes)[0][:, :3, 3]
            track = np.stack(self._progress.track_world[start : end + 1])
            distance_m, distance_px, last = adherence(track, path, camera, expert)
            metres.append(distance_m[: last + 1])
            pixels.append(distance_px[: last + 1])
        return (np.concatenate(metres), np.concatenate(pixels)) if metres else None

    def _paths_right(self, rollout: Rollout) -> list[dict[str, bool]]:
        """Return for each path whether its start and its end are right in the state that it was drawn in."""
        world, command = self._env.world, self.sample.command
        names = [thing.name for thing in world.scene.things]
        camera = world_camera(world.scene.cameras["front"], FRONT_PX, FRONT_PX)
        verdicts = []
        for path, state, _, _ in self._drawn(rollout):
            world.restore(state)
            truth = planned_path(world, command, camera)
            segmentation = segment(world, "front")
            goal = None if command.goal is None else segmentation == names.index(command.goal)
            if truth is not None:
                verdicts.append(
                    grounding(path, truth, segmentation == names.index(command.target), goal, command.family)
                )
        return verdicts


def scene_of_stratum(stratum: str, seed: int) -> AxisEnvironment:
    """Make a scene of one of `STRATA`."""
    axis, _, family = stratum.partition("/")
    return AxisEnvironment(axis, family, seed)
