"""Proof that a policy is served what it was trained on: the same frame, made into inputs by both, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.label.dataset import read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.policy.actor import AnyActor, Tensors
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.training.augment import NONE
from hamster.policy.training.packed_dataset import Pack, load_pack
from hamster.policy.training.presets import TrainConfig
from hamster.policy.training.samples import Samples

Pair = tuple[Tensors, Tensors]


@dataclass(frozen=True)
class Difference:
    """What became of one field of the inputs.

    Attributes:
        frames, differing: how many were compared, and in how many of them any bit differed.
        largest: absolute difference of two numbers; infinite where the shapes differ.
    """

    field: str
    frames: int
    differing: int
    largest: float


@dataclass(frozen=True)
class Parity:
    """What comes of comparing.

    Attributes:
        fields: of the inputs, as training and as service make them.
        rounding_mm: (frames,) how far bfloat16 moves the tool's goal in each frame.
    """

    fields: list[Difference]
    rounding_mm: NDArray[np.float64]


def parity(actor: AnyActor, data_dir: Path, frames: int) -> Parity:
    """Compares the inputs of evenly spread frames of a label set, as training and as service make them; and what the
    actor says of them in float32 and in bfloat16.

    Training's side is packed, and read by `Samples` without augmentation. Service's side starts from the observation in
    the label set and goes through `ActorPolicy.scene`, which is told what a policy remembers at that frame. Labels keep
    depth in units of 0.1 mm; what a camera measures between two of them is not in the label set, and not compared.

    Raises:
        ValueError: if the folder holds no label set that this actor could be trained on, or frames < 1.
    """
    if frames < 1:
        raise ValueError(f"compare at least one frame, not {frames}")
    with TemporaryDirectory() as cache:
        pack = load_pack(data_dir, actor.config, Path(cache))
        pairs = list(_pairs(actor, pack, data_dir, frames))
    fields = [_compared(name, pairs) for name in vars(pairs[0][0])]
    return Parity(fields, np.array([_rounding_mm(actor, inputs) for inputs, _ in pairs]))


def _pairs(actor: AnyActor, pack: Pack, data_dir: Path, frames: int) -> Iterator[Pair]:
    samples, rng = Samples(pack, TrainConfig(actor=actor.config, held_out_every=0), actor), np.random.default_rng(0)
    for row, demonstration in _demonstrations(pack, frames, data_dir):
        scene, _ = samples.moment(row, row, NONE, rng)
        yield actor.prepare(scene), served(actor, pack, row, demonstration, scene.instruction)


def served(actor: AnyActor, pack: Pack, row: int, demonstration: LabelledEpisode, instruction: str) -> Tensors:
    """The inputs that a policy makes of a frame, having been asked before when training supposes that it was."""
    meta, frame, policy = pack.meta, int(pack.meta["frame"][row]), ActorPolicy(actor)
    if (before := pack.before(row, actor.config.history)) is not None:
        policy.remember(bool(meta["open"][row]), before)
    observation, path = demonstration.episode.observations[frame], demonstration.labels[frame].path
    inputs: Tensors = actor.prepare(policy.scene(observation, path, instruction))
    return inputs


def _demonstrations(pack: Pack, frames: int, data_dir: Path) -> Iterator[tuple[int, LabelledEpisode]]:
    """Evenly spread rows, each with its episode."""
    rows: NDArray[np.int64] = np.unique(np.linspace(0, len(pack.paths) - 1, frames).round().astype(int))
    of_robots = (each for each in read_episodes(data_dir) if each.episode.keyposes is not None)
    for number, each in enumerate(of_robots):
        yield from ((int(row), each) for row in rows[pack.meta["episode"][rows] == number])


def _compared(name: str, pairs: list[Pair]) -> Difference:
    both = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
    return Difference(name, len(both), sum(not torch.equal(*pair) for pair in both), max(_gap(*pair) for pair in both))


def _gap(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def _rounding_mm(actor: AnyActor, inputs: Tensors) -> float:
    """How far the furthest of its positions is moved by bfloat16."""
    exact, rounded = (_positions(actor, inputs, on) for on in (False, True))
    return float((exact - rounded).norm(dim=-1).max()) * 1000


def _positions(actor: AnyActor, inputs: Tensors, rounded: bool) -> torch.Tensor:
    """(1, K, 3) metres."""
    device = next(actor.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=rounded):
        batch = type(inputs).stack([inputs]).to(device)
        found: torch.Tensor = actor.predict(batch, torch.Generator().manual_seed(0)).position.float()
    return found
