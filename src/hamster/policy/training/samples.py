"""Augmented demonstrations: which frames, and how augmented, is a function of (seed, step, place in the batch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from hamster.data import View
from hamster.policy.actor import AnyActor, CoTraining, Target
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.policy_input import PolicyInput, RobotState, TensorBatch, mirrored_pose
from hamster.policy.training.augment import AugmentConfig, augment, augment_path, augment_tool_pose
from hamster.policy.training.goal import Goal
from hamster.policy.training.packed_dataset import PackedDataset
from hamster.policy.training.presets import TrainConfig
from hamster.shared_memory import loader_processes

Batch = tuple[TensorBatch, Target]


class Samples(Dataset[Batch]):
    """Indexed by (step, place): the phases of each family equally often, the families by the root of their size."""

    def __init__(
        self, dataset: PackedDataset, config: TrainConfig, actor: AnyActor, co_training: CoTraining | None = None
    ) -> None:
        self.dataset, self.config, self.actor, self.co_training = dataset, config, actor, co_training
        self.rows = np.flatnonzero(dataset.used(config.data_fraction) & ~dataset.held_out(config.held_out_every))
        meta = dataset.meta
        weights = np.where(meta["key"][self.rows], 1.0, config.non_keyframe_weight)
        group = meta["family"][self.rows] * 100 + meta["phase"][self.rows]
        for g in np.unique(group):
            weights[group == g] /= weights[group == g].sum() ** 0.5
        self.weights = weights / weights.sum()

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        rng = np.random.default_rng([self.config.seed, *index])
        row, other = rng.choice(self.rows, 2, p=self.weights)
        inputs, target = self.sample(int(row), int(other), self.config.augment, rng)
        return (inputs if self.co_training is None else self.co_training.add_to(inputs, rng)), target

    def tool_and_goal_poses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the tool (N, 4, 4) was and where it went; also mirrored, if that is an augmentation."""
        goals = np.stack([self.dataset.goal(int(row), self.actor.config).poses_world for row in self.rows])
        tools = np.broadcast_to(self.dataset.meta["tool"][self.rows][:, None], goals.shape)
        tool, goal = tools.reshape(-1, 4, 4), goals.reshape(-1, 4, 4)
        if not self.config.augment.mirror_prob:
            return tool, goal
        return np.concatenate([tool, mirrored_pose(tool)]), np.concatenate([goal, mirrored_pose(goal)])

    def sample(self, row: int, other: int, config: AugmentConfig, rng: np.random.Generator) -> Batch:
        """Return an augmented row as tensors.

        Args:
            row: of the dataset.
            other: a row of the episode whose image may replace this one's.
            config: of the augmentation.
            rng: of all randomness.
        """
        policy_input, goal = self.policy_input(row, other, config, rng)
        return self.actor.preprocess(policy_input), goal.target(policy_input.robot)

    def policy_input(
        self, row: int, other: int, config: AugmentConfig, rng: np.random.Generator
    ) -> tuple[PolicyInput, Goal]:
        """Return an augmented row before preprocessing; arguments as of `sample`."""
        dataset, cameras = self.dataset, self.actor.config.cameras
        completed = bool(dataset.meta["last"][row]) and rng.random() < config.completed_prob
        # Trainings of version 0.1, which draw the path last, go on with the random numbers that they began with.
        is_path_first = self.actor.config.history_since_path
        path_row = self._path_row(row, config, rng) if is_path_first else None
        robot = self._robot(row, path_row, completed, config, rng)
        image_row = int(dataset.meta["first"][other]) if rng.random() < config.swap_image_prob else row
        views = dataset.views(image_row, cameras)
        path_row = path_row if is_path_first else self._path_row(row, config, rng)
        prompt = None if path_row is None else self._prompt(row, path_row, image_row, views, config, rng)
        phrasings = dataset.phrasings(row)
        goal = dataset.goal(row, self.actor.config, completed)
        instruction = phrasings[rng.integers(len(phrasings))]
        policy_input = PolicyInput(views, robot, prompt, instruction, unaugmented_rgb=views[cameras[0]].rgb)
        return augment(policy_input, goal, config, rng)

    def _path_row(self, row: int, config: AugmentConfig, rng: np.random.Generator) -> int | None:
        """Return the row at which the path in force came: this one, or its episode's first; None for no path."""
        if rng.random() < config.path_dropout_prob:
            return None
        return int(self.dataset.meta["first"][row]) if rng.random() < config.first_frame_path_prob else row

    def _robot(
        self, row: int, since: int | None, completed: bool, config: AugmentConfig, rng: np.random.Generator
    ) -> RobotState:
        """Return the robot's state at a row, or after the motion that starts there if that completes the task.

        Its history begins at the row `since`; None for all of it.
        """
        now = {name: values[row] for name, values in self.dataset.meta.items()}
        tool = augment_tool_pose(now["target" if completed else "tool"], config, rng)
        is_open, opening = bool(now["target_open" if completed else "open"]), float(now["gripper"])
        n_history = self.actor.config.n_obs_history
        previous = self.dataset.previous_state(row, n_history, since)
        if completed:
            previous = RobotState(now["tool"], opening, bool(now["open"]), previous).truncated(n_history - 1)
        if previous is None or rng.random() < config.drop_history_prob:
            return RobotState(tool, opening, is_open)
        previous = previous.with_poses(lambda pose: augment_tool_pose(pose, config, rng))
        return RobotState(tool, opening, is_open, previous)

    def _prompt(
        self,
        row: int,
        path_row: int,
        image_row: int,
        views: dict[str, View],
        config: AugmentConfig,
        rng: np.random.Generator,
    ) -> PathPrompt:
        """Return the path that came at `path_row`, on the image there or on that of another scene."""
        dataset, actor_config = self.dataset, self.actor.config
        path = dataset.paths[path_row]
        path = augment_path(path if actor_config.path_depth else replace(path, depth_m=None), config, rng)
        camera = actor_config.cameras[0]
        if image_row != row or path_row == row:
            return PathPrompt(path, views[camera])
        return PathPrompt(path, dataset.views(path_row, (camera,))[camera])


def batches(samples: Samples, first_step: int, part: int, n_parts: int, num_workers: int) -> Iterator[Batch]:
    """Return an iterator of one process's part of the batches.

    Args:
        samples: to batch.
        first_step: the step to begin with.
        part, n_parts: which part of each batch, of how many.
        num_workers: processes that prepare batches ahead.
    """
    config = samples.config
    places = range(part, config.batch_size, n_parts)
    steps = [[(step, place) for place in places] for step in range(first_step, config.steps)]
    loader: DataLoader[Batch] = DataLoader(
        samples, batch_sampler=steps, collate_fn=collate, num_workers=loader_processes(num_workers)
    )
    return iter(loader)


def collate(samples: list[Batch]) -> Batch:
    """Return a batch of inputs and of targets."""
    inputs, targets = zip(*samples, strict=True)
    return type(inputs[0]).stack(inputs), Target.stack(targets)
