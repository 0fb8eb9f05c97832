"""The configuration that LeRobot knows as the environment type `hamster`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs import EnvConfig
from lerobot.envs.utils import freeze_after_episode_end, parse_camera_names
from lerobot.utils.constants import ACTION, OBS_IMAGES, OBS_STATE

from hamster.geometry.keypose_motion import CONTROL_DT_S
from hamster.sim.tabletop import FAMILIES
from hamster.sim.tabletop.env import CAMERAS
from lerobot_env_hamster.tabletop import ACTION_DIM, STATE_DIM, LeRobotTabletop

ALL = "all"


@EnvConfig.register_subclass("hamster")
@dataclass
class HamsterEnv(EnvConfig):
    """The built-in tabletop: a vector environment per task family.

    Attributes:
        task: task families, separated by commas, or "all".
        fps: control steps per second; always 20.
        episode_length: control steps after which an episode has failed.
        camera_name: cameras, separated by commas, of `front` and `wrist`.
        observation_height, observation_width: of the images, pixels; equal.
        viewpoint: pose of the camera `front`: "front" or "moved".
        shifts: whether the target, or its goal, is shifted while the robot is on its way.
        occluded: whether a column hides a part of the way from the camera `front`.
        render_mode: of the videos.
    """

    task: str | None = ALL
    fps: int = round(1 / CONTROL_DT_S)
    episode_length: int = 200
    camera_name: str = ",".join(CAMERAS)
    observation_height: int = 256
    observation_width: int = 256
    viewpoint: str = "front"
    shifts: bool = False
    occluded: bool = False
    render_mode: str = "rgb_array"

    def __post_init__(self) -> None:
        if self.fps != round(1 / CONTROL_DT_S):
            raise ValueError(f"the tabletop runs at {1 / CONTROL_DT_S:g} control steps per second, not at {self.fps}")
        if self.observation_height != self.observation_width:
            raise ValueError(
                f"images are square: observation_height and observation_width must be equal, got "
                f"{self.observation_height} and {self.observation_width}"
            )
        if unknown := [name for name in self.cameras if name not in CAMERAS]:
            raise ValueError(f"no camera {', '.join(unknown)} in camera_name; there are: {', '.join(CAMERAS)}")
        if unknown := [name for name in self.families if name not in FAMILIES]:
            raise ValueError(f"no task {', '.join(map(repr, unknown))}; there are: {', '.join(FAMILIES)}, {ALL}")
        image = PolicyFeature(FeatureType.VISUAL, (self.observation_height, self.observation_width, 3))
        self.features = {
            ACTION: PolicyFeature(FeatureType.ACTION, (ACTION_DIM,)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (STATE_DIM,)),
            **{f"{OBS_IMAGES}.{name}": image for name in self.cameras},
        }
        self.features_map = {**{name: name for name in self.features}, "agent_pos": OBS_STATE}

    @property
    def cameras(self) -> list[str]:
        """The cameras by name."""
        return list(parse_camera_names(self.camera_name))

    @property
    def families(self) -> list[str]:
        """The task families."""
        return list(FAMILIES) if self.task in (None, ALL) else [name.strip() for name in str(self.task).split(",")]

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Arguments of `LeRobotTabletop`, but for the family."""
        return {
            "cameras": self.cameras,
            "image_size": self.observation_height,
            "render_mode": self.render_mode,
            "viewpoint": self.viewpoint,
            "shifts": self.shifts,
            "occluded": self.occluded,
        }

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, gymnasium.vector.VectorEnv[Any, Any, Any]]]:
        """Return {family: {0: vector environment}}, so that LeRobot reports each family by itself.

        Args:
            n_envs: environments of each family.
            use_async_envs: whether each runs in a process of its own.
        """
        return {family: {0: self._vector_env(family, n_envs, use_async_envs)} for family in self.families}

    def _vector_env(self, family: str, n_envs: int, use_async_envs: bool) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
        make = freeze_after_episode_end(partial(_make, family, self.episode_length, self.gym_kwargs))
        mode = gymnasium.vector.AutoresetMode.NEXT_STEP  # which the frozen environments answer without work
        if use_async_envs and n_envs > 1:
            return gymnasium.vector.AsyncVectorEnv([make] * n_envs, context="forkserver", autoreset_mode=mode)
        return gymnasium.vector.SyncVectorEnv([make] * n_envs, autoreset_mode=mode)


def _make(family: str, episode_length: int, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    return gymnasium.wrappers.TimeLimit(LeRobotTabletop(family, **options), max_episode_steps=episode_length)
