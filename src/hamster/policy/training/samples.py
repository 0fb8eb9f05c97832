"""Disturbed demonstrations; which frames and how disturbed is a function of (seed, step, place in the batch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from hamster.data import View
from hamster.policy.actor import AnyActor, Target, Tensors
from hamster.policy.path_prompt import Guide
from hamster.policy.scene import Body, Scene, mirrored_pose
from hamster.policy.training.augment import AugmentConfig, disturb, disturb_path, disturb_tool
from hamster.policy.training.goal import Goal
from hamster.policy.training.packed_dataset import Pack
from hamster.policy.training.presets import TrainConfig
from hamster.shared_memory import loader_processes

Batch = tuple[Tensors, Target]


class Samples(Dataset[tuple[Tensors, Target]]):
    """Indexed by (step, place): the phases of each family equally often, the families by the root of their size."""

    def __init__(self, pack: Pack, config: TrainConfig, actor: AnyActor) -> None:
        self.pack, self.config, self.actor = pack, config, actor
        self.rows = np.flatnonzero(pack.used(config.demonstrations) & ~pack.held_out(config.held_out_every))
        meta = pack.meta
        weights = np.where(meta["key"][self.rows], 1.0, config.on_the_way)
        group = meta["family"][self.rows] * 100 + meta["phase"][self.rows]
        for g in np.unique(group):
            weights[group == g] /= weights[group == g].sum() ** 0.5
        self.weights = weights / weights.sum()

    def __getitem__(self, at: tuple[int, int]) -> tuple[Tensors, Target]:
        rng = np.random.default_rng([self.config.seed, *at])
        row, other = rng.choice(self.rows, 2, p=self.weights)
        return self.sample(int(row), int(other), self.config.augment, rng)

    def moves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the tool (N, 4, 4) was and where it went; also in the mirror, if that is how it is learned."""
        goals = np.stack([self.pack.goal(int(row), self.actor.config)[0] for row in self.rows])
        tools = np.broadcast_to(self.pack.meta["tool"][self.rows][:, None], goals.shape)
        tool, goal = tools.reshape(-1, 4, 4), goals.reshape(-1, 4, 4)
        if not self.config.augment.mirror:
            return tool, goal
        return np.concatenate([tool, mirrored_pose(tool)]), np.concatenate([goal, mirrored_pose(goal)])

    def sample(self, row: int, other: int, augment: AugmentConfig, rng: np.random.Generator) -> tuple[Tensors, Target]:
        """A row of the pack, disturbed; its path is transplanted into the picture of another row's episode, or not."""
        scene, goal = self.moment(row, other, augment, rng)
        return self.actor.prepare(scene), goal.target(scene.body)

    def moment(self, row: int, other: int, augment: AugmentConfig, rng: np.random.Generator) -> tuple[Scene, Goal]:
        """As `sample`, before a network takes it."""
        return disturb(*_moment(self.pack, self.actor, row, other, augment, rng), augment, rng)


def batches(samples: Samples, first_step: int, part: int, parts: int, workers: int) -> Iterator[Batch]:
    """This process's part of the batches from a step on; `workers` processes prepare them ahead."""
    config = samples.config
    mine = range(part, config.batch, parts)
    steps = [[(step, place) for place in mine] for step in range(first_step, config.steps)]
    loader: DataLoader[Batch] = DataLoader(
        samples, batch_sampler=steps, collate_fn=collate, num_workers=loader_processes(workers)
    )
    return iter(loader)


def collate(samples: list[tuple[Tensors, Target]]) -> Batch:
    """A batch of inputs and of targets."""
    inputs, targets = zip(*samples, strict=True)
    return type(inputs[0]).stack(inputs), Target.stack(targets)


def _moment(
    pack: Pack, actor: AnyActor, row: int, other: int, augment: AugmentConfig, rng: np.random.Generator
) -> tuple[Scene, Goal]:
    finished = bool(pack.meta["last"][row]) and rng.random() < augment.finish
    body = _body(pack, row, finished, actor.config.history, augment, rng)
    image = int(pack.meta["first"][other]) if rng.random() < augment.transplant else row
    views = pack.views(image, actor.config.cameras)
    guide = _guide(pack, actor, row, None if image == row else image, views, augment, rng)
    words = pack.words(row)
    goal = Goal(*pack.goal(row, actor.config), finished)
    return Scene(views, body, guide, words[rng.integers(len(words))]), goal


def _body(pack: Pack, row: int, finished: bool, history: int, augment: AugmentConfig, rng: np.random.Generator) -> Body:
    """What the robot feels at a frame, or after the motion that starts there if that finishes the task."""
    now = {name: values[row] for name, values in pack.meta.items()}
    tool = disturb_tool(now["target" if finished else "tool"], augment, rng)
    is_open, opening = bool(now["target_open" if finished else "open"]), float(now["gripper"])
    before = pack.before(row, history)
    if finished:
        before = Body(now["tool"], opening, bool(now["open"]), before).remembering(history - 1)
    if before is None or rng.random() < augment.forget:
        return Body(tool, opening, is_open)
    return Body(tool, opening, is_open, before.changed(lambda pose: disturb_tool(pose, augment, rng)))


def _guide(
    pack: Pack,
    actor: AnyActor,
    row: int,
    elsewhere: int | None,
    views: dict[str, View],
    augment: AugmentConfig,
    rng: np.random.Generator,
) -> Guide | None:
    """The path of a frame, or of its episode's first one, drawn there or on the picture of another scene."""
    if rng.random() < augment.path_dropout:
        return None
    at = int(pack.meta["first"][row]) if rng.random() < augment.stale_path else row
    path = pack.paths[at] if actor.config.path_depth else replace(pack.paths[at], depth_m=None)
    path = disturb_path(path, augment, rng)
    name = actor.config.cameras[0]
    if elsewhere is not None or at == row:
        return Guide(path, views[name])
    return Guide(path, pack.views(at, (name,))[name])
