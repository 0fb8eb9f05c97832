"""The built-in tabletop as a benchmark of vla-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from vla_eval.benchmarks.base import StepBenchmark, StepResult
from vla_eval.specs import DimSpec

from hamster.data import Observation
from hamster.geometry import quaternion_from_matrix
from hamster.rollout.tabletop import MAX_STEPS
from hamster.sim.tabletop import FAMILIES
from hamster.sim.tabletop.env import TabletopEnv
from hamster_vla_eval.specs import ACTION, observation_spec

WXYZ = [0, 1, 2, 6, 3, 4, 5, 7]  # of an action


class TabletopBenchmark(StepBenchmark):
    """A task per family; episode N of each is the scene of seed `seed` + N.

    Args:
        families: of `hamster.sim.tabletop.FAMILIES`; by default all.
        seed: of the first episode.
        image_size: height and width of the images, pixels.
        send_state, send_wrist_image, send_depth: what observations contain beside the image `front`; depth comes with
            the calibration.
        max_steps: control steps after which an episode has failed.

    Raises:
        ValueError: for a family that there is not.
    """

    render_backends: ClassVar[frozenset[str]] = frozenset({"gpu", "cpu"})

    def __init__(
        self,
        families: Sequence[str] = FAMILIES,
        seed: int = 0,
        image_size: int = 256,
        send_state: bool = True,
        send_wrist_image: bool = False,
        send_depth: bool = False,
        max_steps: int = MAX_STEPS,
    ) -> None:
        super().__init__()
        if unknown := [name for name in families if name not in FAMILIES]:
            raise ValueError(f"no families {', '.join(unknown)}; there are: {', '.join(FAMILIES)}")
        self._families, self._seed, self._image_size, self._max_steps = tuple(families), seed, image_size, max_steps
        self._send_state, self._send_depth = send_state, send_depth
        self._cameras = ("front", "wrist") if send_wrist_image else ("front",)
        self._env: TabletopEnv | None = None

    @classmethod
    def configure_render(cls, mode: str) -> dict[str, str]:
        """Return no variables: the simulator chooses its renderer itself."""
        return {}

    def get_tasks(self) -> list[dict[str, Any]]:
        """Return a task per family."""
        return [{"name": family, "suite": "tabletop"} for family in self._families]

    def reset(self, task: dict[str, Any]) -> Observation:
        """Start the episode `episode_idx` of a task."""
        self.cleanup()
        self._env = TabletopEnv(task["name"], self._image_size)
        self._env.reset(seed=self._seed + int(task.get("episode_idx", 0)))
        self._recorder.record_video(self._env.render())
        return self._env.observation(self._cameras)

    def step(self, action: dict[str, Any]) -> StepResult:
        """Run one control step; ValueError if the action is not 8 finite numbers."""
        values = np.asarray(action["actions"], np.float64)
        if values.shape != (8,):
            raise ValueError(f"an action is x, y, z, qx, qy, qz, qw, gripper; got {values.shape}")
        env = self._started()
        env.advance(values[WXYZ])
        done = env.is_success()
        self._recorder.record_video(env.render())
        self._recorder.record_step(reward=float(done), done=done, success=done)
        return StepResult(env.observation(self._cameras), float(done), done, {"success": done})

    def make_obs(self, raw_obs: Observation, task: dict[str, Any]) -> dict[str, Any]:
        """Return the observation as `HamsterModelServer` reads it."""
        views = raw_obs.views
        read: dict[str, Any] = {
            "images": {name: view.rgb for name, view in views.items()},
            "task_description": self._started().command.instruction,
        }
        if self._send_state:
            pose = np.asarray(raw_obs.tool_pose_world)
            read["states"] = np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), raw_obs.gripper])
        if self._send_depth:
            cameras = {name: view.camera for name, view in views.items() if view.camera is not None}
            read["depth"] = {name: view.depth_m for name, view in views.items()}
            read["intrinsics"] = {name: camera.intrinsics for name, camera in cameras.items()}
            read["world_from_camera"] = {name: camera.world_from_camera for name, camera in cameras.items()}
        return read

    def get_step_result(self, step_result: StepResult) -> dict[str, Any]:
        """Return whether the task was done."""
        return {"success": bool(step_result.info.get("success", False))}

    def get_metadata(self) -> dict[str, Any]:
        """Return the limit of control steps."""
        return {"max_steps": self._max_steps}

    def get_action_spec(self) -> dict[str, DimSpec]:
        """Return the components of an action (8,)."""
        return dict(ACTION)

    def get_observation_spec(self) -> dict[str, DimSpec]:
        """Return what observations contain."""
        return observation_spec(self._cameras, self._cameras if self._send_depth else ())

    def cleanup(self) -> None:
        """Free the renderer."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def _started(self) -> TabletopEnv:
        if self._env is None:
            raise RuntimeError("no episode has been started")
        return self._env
