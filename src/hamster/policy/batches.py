"""Batches of disturbed demonstrations; which frames and how disturbed is a function of (seed, step) alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.policy.augment import AugmentConfig, disturb_batch, disturb_path, disturb_tool
from hamster.policy.inputs import Body, Inputs, make_inputs, stack
from hamster.policy.lift import LiftedPath, lift
from hamster.policy.pack import Pack
from hamster.policy.presets import TrainConfig

Target = tuple[Tensor, Tensor, Tensor]  # position (B, 3) from the tool, rotation (B, 3, 3), open (B,) float
NO_NOISE = AugmentConfig(*[0.0] * 13)


class Batches:
    """Draws training batches: the phases of each family equally often, the families by the root of their size."""

    def __init__(self, pack: Pack, config: TrainConfig, device: torch.device) -> None:
        self.pack, self.config, self.device = pack, config, device
        self.rows = np.flatnonzero(~pack.held_out(config.held_out_every))
        meta = pack.meta
        weights = np.where(meta["key"][self.rows], 1.0, config.on_the_way)
        group = meta["family"][self.rows] * 100 + meta["phase"][self.rows]
        for g in np.unique(group):
            weights[group == g] /= weights[group == g].sum() ** 0.5
        self.weights = weights / weights.sum()

    def __call__(self, step: int) -> tuple[Inputs, Target]:
        """The batch of a step."""
        rng = np.random.default_rng([self.config.seed, step])
        rows = rng.choice(self.rows, self.config.batch, p=self.weights)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        inputs, (position, rotation, is_open) = gather(self.pack, rows, self.config, self.config.augment, rng)
        inputs, position, rotation = disturb_batch(inputs, position, rotation, self.config.augment, generator)
        return inputs.to(self.device), (position.to(self.device), rotation.to(self.device), is_open.to(self.device))


def gather(
    pack: Pack, rows: NDArray[np.int64], config: TrainConfig, augment: AugmentConfig, rng: np.random.Generator
) -> tuple[Inputs, Target]:
    """The samples of some rows of the pack, their paths and tool poses disturbed."""
    samples, targets = [], []
    for row in rows:
        tool = disturb_tool(pack.meta["tool"][row], augment, rng)
        path = _path(pack, int(row), config, augment, rng)
        body = _body(pack, int(row), tool, augment, rng)
        samples.append(make_inputs(config.actor, pack.rgb[row], pack.depth_m(row), pack.camera(row), body, path))
        targets.append(pack.meta["target"][row][:3, 3] - tool[:3, 3])
    position = torch.from_numpy(np.stack(targets).astype(np.float32))
    rotation = torch.from_numpy(pack.meta["target"][rows][:, :3, :3].astype(np.float32))
    return stack(samples), (position, rotation, torch.from_numpy(pack.meta["target_open"][rows].astype(np.float32)))


def _body(pack: Pack, row: int, tool: NDArray[np.float64], augment: AugmentConfig, rng: np.random.Generator) -> Body:
    meta = pack.meta
    remembers = meta["has_previous"][row] and rng.random() >= augment.forget
    previous = disturb_tool(meta["previous"][row], augment, rng)[:3, 3] if remembers else None
    was_open = bool(remembers and meta["previous_open"][row])
    return Body(tool, float(meta["gripper"][row]), bool(meta["open"][row]), previous, was_open)


def _path(
    pack: Pack, row: int, config: TrainConfig, augment: AugmentConfig, rng: np.random.Generator
) -> LiftedPath | None:
    if rng.random() < augment.path_dropout:
        return None
    at = int(pack.meta["first"][row]) if rng.random() < augment.stale_path else row
    path = disturb_path(pack.paths[at], augment, rng)
    return lift(path, pack.depth_m(at), pack.camera(at), config.actor.key_waypoints, config.actor.path_waypoints)
