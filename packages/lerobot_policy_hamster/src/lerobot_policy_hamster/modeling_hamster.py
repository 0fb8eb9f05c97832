"""The policy that LeRobot runs: one agent per environment of the batch, all with the same weights."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import torch
from huggingface_hub import snapshot_download
from lerobot.configs import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import OBS_STATE
from numpy.typing import NDArray
from torch import Tensor

from hamster.hub import MODEL_FILES
from hamster.planner import load_planner
from hamster.policy import load_policy
from hamster.rollout import Agent
from lerobot_policy_hamster.checkpoint import resolved, stored
from lerobot_policy_hamster.configuration_hamster import NOT_TRAINED_HERE, HamsterConfig
from lerobot_policy_hamster.observation import ObservationReader
from lerobot_policy_hamster.processor_hamster import make_hamster_pre_post_processors


@dataclass
class _Episode:
    """One environment's agent, and the control steps that it has decided on."""

    agent: Agent
    actions: deque[NDArray[np.float64]] = field(default_factory=deque)


class HamsterPolicy(PreTrainedPolicy):
    """HAMSTER's planner and policy as a policy of LeRobot.

    The path is planned on an episode's first observation and, with `replan_every`, again at keyposes. An action (8,) is
    the tool's pose in the world 0.05 s later, x, y, z in metres and a quaternion (w, x, y, z), and the commanded state
    of the gripper, 0 or 1: environments have to run at 20 steps per second. Where planner or policy have no answer, the
    tool is held still to the episode's end, see `hamster.rollout.Agent`.

    Args:
        config: which planner and policy.
        kwargs: what LeRobot knows of a dataset; not used.

    Raises:
        ValueError: if there is no such planner or policy, or LeRobot's features are no tool poses.
    """

    config_class = HamsterConfig
    name = "hamster"

    def __init__(self, config: HamsterConfig, **kwargs: Any) -> None:
        super().__init__(config)
        del kwargs
        config.validate_features()
        computed: dict[str, Any] = {"device": config.device, "dtype": config.dtype}
        self._planner = None if config.planner is None else load_planner(config.planner, **computed)
        self._policy = load_policy(config.policy, **computed)
        self.actor = getattr(self._policy, "actor", None)  # a submodule: `to` and `parameters` reach its weights
        cameras: Sequence[str] | None = getattr(self._policy, "cameras", None)
        used = cameras and list(dict.fromkeys([*cameras, *([config.planner_camera] if config.planner else [])]))
        needs_depth = self.actor is not None and self.actor.config.needs_depth
        self._reader = ObservationReader(
            used, (cameras or ()) if needs_depth else (), config.calibration, config.depth_unit_m
        )
        self.reset()

    def reset(self) -> None:
        """Forget the episodes of all environments."""
        self._episodes: list[_Episode] = []

    @torch.no_grad()
    def select_action(self, batch: Mapping[str, Any], **kwargs: Any) -> Tensor:
        """Return the next control step of each environment, (B, 8).

        Args:
            batch: observations, see `observation`.
            kwargs: not used.

        Raises:
            ValueError: if the observations lack something that planner or policy need.
        """
        del kwargs
        episodes = self._episodes_of(batch)
        for index, episode in enumerate(episodes):
            if not episode.actions:
                episode.actions.extend(self._act(episode, batch, index))
        return self._tensor(np.stack([episode.actions.popleft() for episode in episodes]))

    @torch.no_grad()
    def predict_action_chunk(self, batch: Mapping[str, Any], **kwargs: Any) -> Tensor:
        """Return the control steps of each environment until its next observation is needed, (B, T, 8).

        Shorter ones are padded by their last command, which holds the tool.

        Args:
            batch, kwargs: as of `select_action`.
        """
        del kwargs
        chunks = [self._act(episode, batch, index) for index, episode in enumerate(self._episodes_of(batch))]
        longest = max(map(len, chunks))
        return self._tensor(np.stack([np.pad(c, ((0, longest - len(c)), (0, 0)), mode="edge") for c in chunks]))

    def forward(self, batch: dict[str, Tensor]) -> NoReturn:
        """Raise NotImplementedError with the command that trains it."""
        raise NotImplementedError(NOT_TRAINED_HERE)

    def get_optim_params(self) -> NoReturn:
        """Raise NotImplementedError with the command that trains it."""
        raise NotImplementedError(NOT_TRAINED_HERE)

    def _save_pretrained(self, save_directory: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write LeRobot's configuration and processors, and copies of planner and policy; see `checkpoint`."""
        del state_dict  # the weights are those of the copied checkpoint: LeRobot does not train them
        stored(self.config, save_directory)._save_pretrained(save_directory)
        for processor in make_hamster_pre_post_processors(self.config):
            processor.save_pretrained(save_directory)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # LeRobot's has one file of weights
        cls,
        pretrained_name_or_path: str | Path,
        *,
        config: HamsterConfig | None = None,
        revision: str | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Load what `save_pretrained` has written, in evaluation mode.

        Args:
            pretrained_name_or_path: a folder, or a hub id.
            config: in place of the stored one.
            revision, force_download, token, cache_dir, local_files_only: of the download, as LeRobot has them.
            kwargs: for the configuration, `cli_overrides` for instance.
        """
        folder = Path(pretrained_name_or_path)
        if not folder.is_dir():
            folder = Path(
                snapshot_download(
                    str(pretrained_name_or_path), revision=revision, force_download=force_download, token=token,
                    cache_dir=cache_dir, local_files_only=local_files_only, allow_patterns=list(MODEL_FILES),
                )
            )  # fmt: skip
        if config is None:
            overrides = {"cli_overrides": kwargs["cli_overrides"]} if "cli_overrides" in kwargs else {}
            config = PreTrainedConfig.from_pretrained(folder, **overrides)
        policy = cls(resolved(config, folder))
        policy.to(policy.config.device)
        return policy.eval()

    def _episodes_of(self, batch: Mapping[str, Any]) -> list[_Episode]:
        size = len(batch[OBS_STATE]) if OBS_STATE in batch else 1  # the reader's error names what is missing
        if not self._episodes:
            self._episodes = [_Episode(self._agent()) for _ in range(size)]
        if len(self._episodes) != size:
            raise ValueError(f"the batch has {size} environments; the episodes under way are {len(self._episodes)}")
        return self._episodes

    def _agent(self) -> Agent:
        # A policy's episode is what `reset` sets anew; a shallow copy shares the rest, which is its weights.
        config = self.config
        return Agent(
            self._planner, copy.copy(self._policy), camera=config.planner_camera, replan_every=config.replan_every
        )

    def _act(self, episode: _Episode, batch: Mapping[str, Any], index: int) -> NDArray[np.float64]:
        tasks = batch.get("task", "")
        instruction = tasks if isinstance(tasks, str) else tasks[index]
        observation = self._reader.read(batch, index, episode.agent.n_steps)
        return self._reader.recorded(episode.agent.act(observation, instruction))

    def _tensor(self, actions: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(actions, dtype=torch.float32, device=self.config.device)
