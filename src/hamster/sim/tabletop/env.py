"""The tabletop as a Gymnasium environment, `hamster/Tabletop-v0`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.geometry import matrix_from_quaternion, pose
from hamster.sim.expert import plan
from hamster.sim.scene import Command, Keypose, Scene
from hamster.sim.tabletop.occluded import sample_occluded
from hamster.sim.tabletop.sample import FAMILIES, VIEWPOINTS, sample, seen_from
from hamster.sim.tabletop.shift import Shift, sample_with_shift
from hamster.sim.tasks import Start, after_shift, begin, is_failed, is_success
from hamster.sim.world import World

CAMERAS = ("front", "wrist")
REACH_M = 1.5
Obs = dict[str, Any]


class TabletopEnv(gymnasium.Env[Obs, NDArray[np.float64]]):
    """One random scene and one task per episode; an action is the target of the tool 0.05 s later.

    Action (8,): the tool's absolute pose in the world, x, y, z in metres and a quaternion (w, x, y, z), and the
    gripper's opening, 0 closed to 1 open. Observation: per camera rgb (H, W, 3) uint8, depth_m (H, W) float32,
    intrinsics (3, 3) and world_from_camera (4, 4, OpenCV axes); tool_pose_world (4, 4); gripper (1,). `info`:
    instruction, family, is_success. The reward is 1 where the task is done, and the episode then ends.

    Args:
        family: one of `sample.FAMILIES`, or "all" for a random one in each episode.
        image_size: height and width of the images, pixels.
        render_mode: None or "rgb_array".
        viewpoint: one of `sample.VIEWPOINTS`: pose of the camera whose view is named "front".
        shifts: whether the target, or its goal, is shifted to another place while the robot is on its way.
        occluded: whether a column hides a part of the way from the camera "front"; not together with `shifts`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 (gymnasium's own type)

    def __init__(
        self,
        family: str = "all",
        image_size: int = 256,
        render_mode: str | None = None,
        viewpoint: str = "front",
        shifts: bool = False,
        occluded: bool = False,
    ) -> None:
        if family not in (*FAMILIES, "all"):
            raise ValueError(f"unknown family {family!r}; choose from {', '.join(FAMILIES)}, all")
        if viewpoint not in VIEWPOINTS:
            raise ValueError(f"unknown viewpoint {viewpoint!r}; choose from {', '.join(VIEWPOINTS)}")
        self.family, self.image_size, self.render_mode, self.viewpoint = family, image_size, render_mode, viewpoint
        if shifts and occluded:
            raise ValueError("scenes have shifts or a column, not both")
        self.shifts, self.occluded = shifts, occluded
        self.observation_space = _observation_space(image_size)
        high = np.array([REACH_M] * 3 + [1.0] * 5)
        self.action_space = spaces.Box(np.append(-high[:7], 0.0), high, dtype=np.float64)
        self._world: World | None = None
        self._start: Start | None = None
        self._n_steps = 0

    @property
    def world(self) -> World:
        """The simulation of this episode; RuntimeError before the first reset."""
        if self._world is None:
            raise RuntimeError("call reset() first: there is no scene yet")
        return self._world

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Start a new scene and task, a function of the seed (and the family) alone."""
        super().reset(seed=seed)
        family = self.family if self.family != "all" else str(self.np_random.choice(FAMILIES))
        if self.shifts:
            scene, command, shift = sample_with_shift(self.np_random, family)
        else:
            draw = sample_occluded if self.occluded else sample
            (scene, command), shift = draw(self.np_random, family), None
        if self.viewpoint != "front":
            scene, command = seen_from(scene, command, self.viewpoint, self.np_random)
        self.begin(scene, command, shift)
        return self._read(), self._info()

    def begin(self, scene: Scene, command: Command, shift: Shift | None = None) -> None:
        """Start an episode in a scene that the caller sampled.

        Args:
            scene: the scene.
            command: the task.
            shift: what is shifted under way, if anything.
        """
        self.close()
        self.command, self.shift = command, shift
        self._world, self._n_steps = World(scene, self.image_size), 0
        self._start = begin(self._world)

    def step(self, action: NDArray[np.float64]) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Run one control step; ValueError if the action is not 8 finite numbers or its quaternion is zero."""
        self.advance(action)
        info = self._info()
        return self._read(), float(info["is_success"]), info["is_success"], False, info

    def advance(self, action: NDArray[np.float64]) -> None:
        """Run one control step without rendering."""
        world, values = self.world, np.asarray(action, np.float64)
        if values.shape != (8,) or not np.isfinite(values).all() or not values[3:7].any():
            raise ValueError(f"an action is x, y, z, qw, qx, qy, qz, gripper, all finite; got {action!r}")
        world.step(pose(values[:3], matrix_from_quaternion(values[3:7])), float(values[7]))
        self._n_steps += 1
        if self.shift is not None and self._n_steps == self.shift.after_step:
            self.apply_shift(self.shift)

    def apply_shift(self, shift: Shift) -> None:
        """Shift a thing now. The task is judged as if it had stood there from the start.

        In an episode that `reset` started, the attribute `shift` says which shift comes by itself, if any.
        """
        assert self._start is not None
        self.world.shift(shift.thing, shift.xy)
        self._start = after_shift(self.world, self._start, shift.thing)

    def observation(self, cameras: Collection[str] = CAMERAS) -> Observation:
        """Return the present sensor readings as a record, with the views of those of `CAMERAS` that are named."""
        names = [name for name in CAMERAS if name in cameras]
        record = self.world.observe([self.viewpoint if name == "front" else name for name in names])
        return replace(record, views=dict(zip(names, record.views.values(), strict=True)))

    def is_success(self, command: Command | None = None) -> bool:
        """Return whether the task, or another one in this scene, is done now."""
        if self._start is None:
            raise RuntimeError("call reset() first: there is no task yet")
        return is_success(self.world, self.command if command is None else command, self._start)

    def is_failed(self) -> bool:
        """Return whether the task can never be done any more."""
        if self._start is None:
            raise RuntimeError("call reset() first: there is no task yet")
        return is_failed(self.world, self.command, self._start)

    def expert_plan(self) -> list[Keypose]:
        """Return the scripted expert's keyposes from the present state on."""
        return plan(self.world, self.command)

    def render(self) -> NDArray[np.uint8]:
        """Render the front camera (H, W, 3)."""
        return self.world.observe((self.viewpoint,)).views[self.viewpoint].rgb

    def close(self) -> None:
        """Free the renderer."""
        if self._world is not None:
            self._world.close()

    def _read(self) -> Obs:
        record = self.observation()
        views = {name: _view_arrays(view) for name, view in record.views.items()}
        return {**views, "tool_pose_world": record.tool_pose_world, "gripper": np.array([record.gripper])}

    def _info(self) -> dict[str, Any]:
        command = self.command
        return {"instruction": command.instruction, "family": command.family, "is_success": self.is_success()}

    command: Command
    shift: Shift | None


def _view_arrays(view: View) -> dict[str, Any]:
    if view.camera is None:
        raise ValueError("the simulator's views are calibrated; this one is not")
    intrinsics, world_from_camera = view.camera.intrinsics, view.camera.world_from_camera
    return {"rgb": view.rgb, "depth_m": view.depth_m, "intrinsics": intrinsics, "world_from_camera": world_from_camera}


def _observation_space(size: int) -> spaces.Dict:
    matrix = {n: spaces.Box(-np.inf, np.inf, (n, n), np.float64) for n in (3, 4)}
    view: dict[str, spaces.Space[Any]] = {
        "rgb": spaces.Box(0, 255, (size, size, 3), np.uint8),
        "depth_m": spaces.Box(0, np.inf, (size, size), np.float32),
        "intrinsics": matrix[3],
        "world_from_camera": matrix[4],
    }
    senses: dict[str, spaces.Space[Any]] = {name: spaces.Dict(view) for name in CAMERAS}
    senses["tool_pose_world"], senses["gripper"] = matrix[4], spaces.Box(0, 1, (1,), np.float64)
    return spaces.Dict(senses)
