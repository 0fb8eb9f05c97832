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

# Position (B, 3) from the tool, rotation (B, 3, 3), open (B,) float, and is all done already (B,) float.
Target = tuple[Tensor, Tensor, Tensor, Tensor]
NO_NOISE = AugmentConfig(*[0.0] * 15)


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
        inputs, (position, rotation, *rest) = gather(self.pack, rows, self.config, self.config.augment, rng)
        inputs, position, rotation = disturb_batch(inputs, position, rotation, self.config.augment, generator)
        is_open, done = (x.to(self.device) for x in rest)
        return inputs.to(self.device), (position.to(self.device), rotation.to(self.device), is_open, done)


def gather(
    pack: Pack, rows: NDArray[np.int64], config: TrainConfig, augment: AugmentConfig, rng: np.random.Generator
) -> tuple[Inputs, Target]:
    """The samples of some rows of the pack, their paths and tool poses disturbed."""
    samples, targets, done = [], [], []
    for row in rows:
        finished = bool(pack.meta["last"][row]) and rng.random() < augment.finish
        body = _body(pack, int(row), finished, augment, rng)
        image = int(pack.meta["first"][rng.choice(rows)]) if rng.random() < augment.transplant else int(row)
        path = _path(pack, int(row), None if image == row else image, config, augment, rng)
        view = (pack.rgb[image], pack.depth_m(image), pack.camera(image))
        samples.append(make_inputs(config.actor, *view, body, path))
        targets.append(pack.meta["target"][row][:3, 3] - body.tool_pose_world[:3, 3])
        done.append(float(finished))
    position = torch.from_numpy(np.stack(targets).astype(np.float32))
    rotation = torch.from_numpy(pack.meta["target"][rows][:, :3, :3].astype(np.float32))
    is_open = torch.from_numpy(pack.meta["target_open"][rows].astype(np.float32))
    return stack(samples), (position, rotation, is_open, torch.tensor(done))


def _body(pack: Pack, row: int, finished: bool, augment: AugmentConfig, rng: np.random.Generator) -> Body:
    """What the robot feels at a frame, or after the motion that starts there if that finishes the task."""
    now = {name: values[row] for name, values in pack.meta.items()}
    tool = disturb_tool(now["target" if finished else "tool"], augment, rng)
    is_open, opening = bool(now["target_open" if finished else "open"]), float(now["gripper"])
    if not (finished or now["has_previous"]) or rng.random() < augment.forget:
        return Body(tool, opening, is_open)
    previous = disturb_tool(now["tool" if finished else "previous"], augment, rng)[:3, 3]
    return Body(tool, opening, is_open, previous, bool(now["open" if finished else "previous_open"]))


def _path(
    pack: Pack, row: int, elsewhere: int | None, config: TrainConfig, augment: AugmentConfig, rng: np.random.Generator
) -> LiftedPath | None:
    """The path of a frame, or of its episode's first one, lifted there or onto the surfaces of another scene."""
    if rng.random() < augment.path_dropout:
        return None
    at = int(pack.meta["first"][row]) if rng.random() < augment.stale_path else row
    path = disturb_path(pack.paths[at], augment, rng)
    on = at if elsewhere is None else elsewhere
    return lift(path, pack.depth_m(on), pack.camera(on), config.actor.key_waypoints, config.actor.path_waypoints)
