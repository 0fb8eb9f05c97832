"""Planner and policy behind vla-eval's protocol."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vla_eval.model_servers.base import SessionContext
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.specs import DimSpec

from hamster.data import Observation, View
from hamster.geometry import Camera, matrix_from_quaternion, pose
from hamster.geometry.keypose_motion import CONTROL_DT_S
from hamster.planner import load_planner
from hamster.policy import load_policy
from hamster.rollout import Agent
from hamster_vla_eval.specs import ACTION, observation_spec

MOST_STEPS = 10_000  # of one chunk: vla-eval cuts longer ones off, and hands out the rest step by step
XYZW = [0, 1, 2, 4, 5, 6, 3, 7]  # from `hamster.rollout.agent.COLUMNS`


class HamsterModelServer(PredictModelServer):
    """One agent per session, all with the same weights; see `hamster.rollout.Agent`.

    Observations: `images` {camera: (H, W, 3) uint8}, `task_description`, `states` (8,) with position, quaternion
    (w, x, y, z) and gripper opening, and for policies that need it `depth` {camera: (H, W) metres}, `intrinsics` and
    `world_from_camera` {camera: matrix}. Actions: see `specs`.

    Args:
        planner: as of `hamster.load_planner`; None for the condition without a path.
        policy: as of `hamster.load_policy`.
        planner_camera: camera whose image the planner draws on.
        replan_every: keyposes between two calls of the planner; 0 plans once.
        device, dtype: where and in which format the networks compute.

    Raises:
        ValueError: if there is no such planner or policy.
    """

    def __init__(
        self,
        planner: str | None = "nano",
        policy: str = "flow-nano",
        *,
        planner_camera: str = "front",
        replan_every: int = 0,
        device: str | None = None,
        dtype: str = "auto",
    ) -> None:
        super().__init__(chunk_size=MOST_STEPS)
        self._planner = None if planner is None else load_planner(planner, device=device, dtype=dtype)
        self._policy = load_policy(policy, device=device, dtype=dtype)
        self._planner_camera, self._replan_every = planner_camera, replan_every
        cameras = tuple(getattr(self._policy, "cameras", ()))
        config = getattr(getattr(self._policy, "actor", None), "config", None)
        self._cameras = tuple(dict.fromkeys([*cameras, *([planner_camera] if planner is not None else [])]))
        self._depth_cameras = cameras if config is not None and config.needs_depth else ()
        self._agents: dict[str, Agent] = {}

    def get_action_spec(self) -> dict[str, DimSpec]:
        """Return the components of an action (8,)."""
        return dict(ACTION)

    def get_observation_spec(self) -> dict[str, DimSpec]:
        """Return what the policy and the planner need."""
        return observation_spec(self._cameras, self._depth_cameras)

    def get_observation_params(self) -> dict[str, Any]:
        """Return the arguments of benchmarks that make them send it."""
        return {
            "send_state": True,
            "send_wrist_image": "wrist" in self._cameras,
            "send_depth": bool(self._depth_cameras),
        }

    async def on_episode_start(self, config: dict[str, Any], ctx: SessionContext) -> None:
        """Begin an episode of a session."""
        self._agents[ctx.session_id] = Agent(
            self._planner,
            copy.copy(self._policy),  # its episode is what `reset` sets anew; the weights are shared
            camera=self._planner_camera,
            replan_every=self._replan_every,
        )
        await super().on_episode_start(config, ctx)

    async def on_episode_end(self, result: dict[str, Any], ctx: SessionContext) -> None:
        """Forget the episode of a session."""
        self._agents.pop(ctx.session_id, None)
        await super().on_episode_end(result, ctx)

    def predict(self, obs: dict[str, Any], ctx: SessionContext) -> dict[str, Any]:
        """Return {"actions": (T, 8)}, the control steps until the next observation is needed.

        Args:
            obs: as described above.
            ctx: the session.

        Raises:
            ValueError: if the observation lacks something that planner or policy need; vla-eval sends it to the client.
        """
        agent = self._agents.get(ctx.session_id)
        if agent is None:
            raise ValueError("an episode has to be started first")
        read = read_observation(obs, self._cameras, agent.n_steps)
        return {"actions": agent.act(read, str(obs.get("task_description", "")))[:, XYZW]}


def read_observation(obs: Mapping[str, Any], cameras: tuple[str, ...], step: int = 0) -> Observation:
    """Return an observation of vla-eval as a record.

    Args:
        obs: see `HamsterModelServer`.
        cameras: to read; () for all.
        step: control steps since the start of the episode.

    Raises:
        ValueError: if a part is missing or of another shape.
    """
    images = obs.get("images")
    if not isinstance(images, Mapping):
        raise ValueError("the observation has no images {camera: (H, W, 3)}")
    state = np.asarray(obs.get("states", obs.get("state")), np.float64)
    if state.shape != (8,):
        raise ValueError(
            f"states must be (8,): x, y, z, qw, qx, qy, qz of the tool and the gripper's opening; got {state.shape}"
        )
    if missing := [name for name in cameras if name not in images]:
        raise ValueError(f"the observation lacks images of {', '.join(missing)}; there are: {', '.join(images)}")
    views = {name: _view(obs, name, np.asarray(images[name])) for name in cameras or images}
    tool_pose_world = pose(state[:3], matrix_from_quaternion(state[3:7]))
    return Observation(views, tool_pose_world, float(np.clip(state[7], 0, 1)), step * CONTROL_DT_S)


def _view(obs: Mapping[str, Any], name: str, rgb: NDArray[np.uint8]) -> View:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"the image of {name!r} is {rgb.shape} {rgb.dtype}, not (H, W, 3) uint8")
    depth, intrinsics, world_from_camera = (
        (obs.get(key) or {}).get(name) for key in ("depth", "intrinsics", "world_from_camera")
    )
    depth_m = None if depth is None else np.asarray(depth, np.float32)
    if depth_m is not None and depth_m.shape != rgb.shape[:2]:
        raise ValueError(f"the depth of {name!r} is {depth_m.shape}, its image {rgb.shape[:2]}")
    if intrinsics is None or world_from_camera is None:
        return View(rgb, depth_m)
    return View(rgb, depth_m, Camera(intrinsics, world_from_camera, rgb.shape[1], rgb.shape[0]))
