"""The built-in tabletop as an `Environment` of the closed loop."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import gymnasium

import hamster.sim  # noqa: F401  # isort: skip  # it imports MuJoCo whatever MUJOCO_GL says
import mujoco
import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.geometry import Camera, quaternion_from_matrix
from hamster.geometry.keypose_motion import CONTROL_DT_S
from hamster.path import Path2D, PlanError
from hamster.rollout.environment import BrokenEnvironmentError
from hamster.sim.annotate import planned_path
from hamster.sim.render import Renderer
from hamster.sim.scene import Command
from hamster.sim.tabletop import FAMILIES
from hamster.sim.tabletop.demos import IMAGE_SIZE
from hamster.sim.tabletop.env import CAMERAS, TabletopEnv
from hamster.sim.tabletop.sample import other_tasks

__all__ = ["FAMILIES", "MAX_STEPS", "MAX_STEPS_SHIFTED", "TabletopEnvironment", "counterfactual"]

Array = NDArray[np.float64]
MAX_STEPS = 200  # 10 s; the expert needs 2 to 4
MAX_STEPS_SHIFTED = 300
FRONT_PX = 256
TRIES = 20
_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class TabletopEnvironment:
    """One scene of `hamster/Tabletop-v0`. Renders on demand only: most control steps need no image.

    Args:
        family: task family.
        seed: of scene and task.
        viewpoint: camera pose of planner and policy: "front" or "moved".
        image_size: of the policy's views, pixels; the default is that of the demonstrations.
        shifts: whether the target, or its goal, is shifted while the robot is on its way, see `sim.tabletop.shift`.
        occluded: whether a column hides a part of the way, see `sim.tabletop.occluded`.
    """

    dt_s = CONTROL_DT_S

    def __init__(
        self,
        family: str,
        seed: int,
        viewpoint: str = "front",
        image_size: int = IMAGE_SIZE,
        shifts: bool = False,
        occluded: bool = False,
    ) -> None:
        options: dict[str, Any] = {"family": family, "image_size": image_size, "viewpoint": viewpoint}
        options |= {"shifts": shifts, "occluded": occluded}
        wrapped = gymnasium.make("hamster/Tabletop-v0", disable_env_checker=True, **options)
        assert isinstance(wrapped.unwrapped, TabletopEnv)
        self._env = wrapped.unwrapped
        self._begin(seed)
        self._front = Renderer(self._env.world.model, FRONT_PX, FRONT_PX)

    def _begin(self, seed: int) -> None:
        """Start the episode of this seed."""
        self._env.reset(seed=seed)

    @property
    def gymnasium_env(self) -> TabletopEnv:
        """The environment of Gymnasium around the simulation."""
        return self._env

    @property
    def command(self) -> Command:
        """The task."""
        return self._env.command

    @property
    def instruction(self) -> str:
        """The instruction of the task."""
        return self._env.command.instruction

    def observe(self, cameras: Collection[str] = CAMERAS) -> Observation:
        """Return the tool, the gripper and the views of these cameras, if there are such."""
        return self._env.observation(cameras)

    def positions_world(self) -> Array:
        """Return the centres of mass (N, 3) of the arm's links and of all things, metres."""
        return np.array(self._env.world.data.xipos)

    def tool_pose_world(self) -> Array:
        """Return the measured tool pose (4, 4)."""
        return self._env.world.tool_pose_world

    def gripper_command(self) -> bool:
        """Return whether the gripper was last told to be open."""
        return self._env.world.gripper_open

    def front_image(self) -> NDArray[np.uint8]:
        """Render the front camera (256, 256, 3)."""
        return self._front.render(self._env.world.data, self._env.viewpoint).rgb

    def front_camera(self) -> Camera:
        """Return the calibration of the camera of `front_image`."""
        return self._front.camera(self._env.world.data, self._env.viewpoint)

    def step(self, tool_pose_world: Array, gripper_open: bool) -> bool:
        """Run one control step; BrokenEnvironmentError if the simulation diverges."""
        pose = np.asarray(tool_pose_world)
        quaternion = quaternion_from_matrix(pose[:3, :3])
        self._env.advance(np.array([*pose[:3, 3], *quaternion, float(gripper_open)]))
        if any(self._env.world.data.warning[kind].number for kind in _DIVERGED):
            raise BrokenEnvironmentError("the simulation diverged")
        return self._env.is_success()

    def is_failed(self) -> bool:
        """Return whether the task can never be done any more."""
        return self._env.is_failed()

    def expert_path(self) -> Path2D:
        """Return the expert's path from the present state on, in the front camera; PlanError if it leaves the image."""
        return self.expert_path_of(self._env.command)

    def expert_path_of(self, command: Command) -> Path2D:
        """Return the expert's path for any task in this scene; as `expert_path`."""
        world = self._env.world
        mujoco.mj_forward(world.model, world.data)
        path = planned_path(world, command, self.front_camera())
        if path is None:
            raise PlanError("the expert's path starts, grasps, releases or ends outside the image")
        return path

    def is_success(self, command: Command) -> bool:
        """Return whether a task in this scene is done now."""
        return self._env.is_success(command)

    def turn_to(self, command: Command) -> bool:
        """Make another command the task if its path is on the image; return whether it is."""
        before, self._env.command = self._env.command, command
        try:
            self.expert_path()
        except PlanError:
            self._env.command = before
            return False
        return True

    def other_tasks(self) -> list[Command]:
        """Return other tasks in this scene with the same instruction; see `sample.other_tasks`."""
        return other_tasks(self._env.world.scene, self._env.command)

    def other_task(self, seed: int) -> OtherTask:
        """Return a task of the same family with another target or goal, chosen by the seed among all drawable ones.

        Raises:
            PlanError: if there is none with a path on the image.
        """
        others = self.other_tasks()
        for i in np.random.default_rng(seed).permutation(len(others)):
            try:
                self.expert_path_of(others[i])
            except PlanError:
                continue
            return OtherTask(self, others[i])
        raise PlanError("no other task in this scene has a path on the image")

    def close(self) -> None:
        """Free the renderers."""
        self._front.close()
        self._env.close()


@dataclass(frozen=True, eq=False)
class OtherTask:
    """Another task in the scene of an environment, which keeps its own."""

    env: TabletopEnvironment
    command: Command

    def expert_path(self) -> Path2D:
        """Return the expert's path from the present state; see `TabletopEnvironment.expert_path`."""
        return self.env.expert_path_of(self.command)

    def is_success(self) -> bool:
        """Return whether the task is done now."""
        return self.env.is_success(self.command)


def counterfactual(family: str, seed: int) -> TabletopEnvironment:
    """Make one of two tasks in the same scene with the same instruction: only the expert's path differs.

    Seeds 2k and 2k + 1 make the same scene; the second task has another target or goal than the first. Scenes without a
    second task, or with a path that leaves the image, are skipped.
    """
    first, which = divmod(seed, 2)
    for world in range(first, first + TRIES):
        env = TabletopEnvironment(family, world)
        others = env.other_tasks()
        commands = [env.command, *(others[i] for i in np.random.default_rng(world).permutation(len(others)))]
        drawable = [command for command in commands if env.turn_to(command)]
        if len(drawable) > 1 and drawable[0] is commands[0]:
            env.turn_to(drawable[which])
            return env
        env.close()
    raise RuntimeError(f"{TRIES} scenes from seed {first} on have no second task")
