"""Train/serve skew: the same frame, preprocessed by training and by service, must be the same bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.label.dataset import read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.policy.actor import AnyActor
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.policy_input import TensorBatch
from hamster.policy.training.augment import NONE
from hamster.policy.training.packed_dataset import PackedDataset, load_packed_dataset
from hamster.policy.training.presets import TrainConfig
from hamster.policy.training.samples import Samples

Pair = tuple[TensorBatch, TensorBatch]


@dataclass(frozen=True)
class FieldDifference:
    """Differences in one field of the inputs.

    Attributes:
        field: its name.
        frames, differing: how many were compared, and in how many of them any bit differed.
        largest: absolute difference of two numbers; infinite where the shapes differ.
    """

    field: str
    frames: int
    differing: int
    largest: float


@dataclass(frozen=True)
class SkewReport:
    """Result of `check_skew`.

    Attributes:
        fields: of the inputs, as training and as service make them.
        rounding_mm: (frames,) how far bfloat16 moves the predicted position in each frame.
    """

    fields: list[FieldDifference]
    rounding_mm: NDArray[np.float64]


def check_skew(actor: AnyActor, data_dir: Path, frames: int) -> SkewReport:
    """Compare the inputs of evenly spread frames as training and as service make them, and float32 with bfloat16.

    Training's side is packed, and read by `Samples` without augmentation. Service's side starts from the observation in
    the label set and goes through `ActorPolicy.make_input`, with what a policy remembers at that frame. Labels keep
    depth in units of 0.1 mm; what a camera measures between two of them is not in the label set, and not compared.

    Args:
        actor: whose preprocessing is compared.
        data_dir: a label set of kind "episodes".
        frames: how many.

    Raises:
        ValueError: if the folder holds no label set that this actor could be trained on, or frames < 1.
    """
    if frames < 1:
        raise ValueError(f"compare at least one frame, not {frames}")
    with TemporaryDirectory() as cache:
        dataset = load_packed_dataset(data_dir, actor.config, Path(cache), estimated_depth=True)
        pairs = list(_pairs(actor, dataset, data_dir, frames))
    flat = [(trained.flatten(), served.flatten()) for trained, served in pairs]
    fields = [_difference(name, [(a[name], b[name]) for a, b in flat]) for name in flat[0][0]]
    return SkewReport(fields, np.array([_rounding_mm(actor, inputs) for inputs, _ in pairs]))


def served_inputs(
    actor: AnyActor, dataset: PackedDataset, row: int, demonstration: LabelledEpisode, instruction: str
) -> TensorBatch:
    """Return the inputs that a policy makes of a frame with the path of the first one, after the calls in between.

    Args:
        actor: of the policy.
        dataset: with the frame.
        row: of the frame.
        demonstration: the frame's episode.
        instruction: in force there.
    """
    meta, policy, observations = dataset.meta, ActorPolicy(actor), demonstration.episode.observations
    first_row, frame = int(meta["first"][row]), int(meta["frame"][row])
    first_frame = int(meta["frame"][first_row])
    path = demonstration.labels[first_frame].path
    policy.make_input(observations[first_frame], path, instruction)
    since = first_row if actor.config.history_since_path else None
    if (previous := dataset.previous_state(row, actor.config.n_obs_history, since)) is not None:
        policy.remember(bool(meta["open"][row]), previous)
    inputs: TensorBatch = actor.preprocess(policy.make_input(observations[frame], path, instruction))
    return inputs


def _pairs(actor: AnyActor, dataset: PackedDataset, data_dir: Path, frames: int) -> Iterator[Pair]:
    samples = Samples(dataset, TrainConfig(actor=actor.config, held_out_every=0), actor)
    rng, first_frame_path = np.random.default_rng(0), replace(NONE, first_frame_path_prob=1.0)
    for row, demonstration in _demonstrations(dataset, frames, data_dir):
        policy_input, _ = samples.policy_input(row, row, first_frame_path, rng)
        served = served_inputs(actor, dataset, row, demonstration, policy_input.instruction)
        yield actor.preprocess(policy_input), served


def _demonstrations(dataset: PackedDataset, frames: int, data_dir: Path) -> Iterator[tuple[int, LabelledEpisode]]:
    """Yield evenly spread rows, each with its episode."""
    rows: NDArray[np.int64] = np.unique(np.linspace(0, len(dataset.paths) - 1, frames).round().astype(int))
    of_robots = (labelled for labelled in read_episodes(data_dir) if labelled.episode.keyposes is not None)
    for number, labelled in enumerate(of_robots):
        yield from ((int(row), labelled) for row in rows[dataset.meta["episode"][rows] == number])


def _difference(name: str, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> FieldDifference:
    differing = sum(not torch.equal(*pair) for pair in pairs)
    return FieldDifference(name, len(pairs), differing, max(_largest_difference(*pair) for pair in pairs))


def _largest_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def _rounding_mm(actor: AnyActor, inputs: TensorBatch) -> float:
    """Return how far bfloat16 moves the position that it moves most."""
    exact, rounded = (_positions(actor, inputs, bfloat16) for bfloat16 in (False, True))
    return float((exact - rounded).norm(dim=-1).max()) * 1000


def _positions(actor: AnyActor, inputs: TensorBatch, bfloat16: bool) -> torch.Tensor:
    """Return the predicted positions (1, K, 3) in metres."""
    device = next(actor.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        batch = type(inputs).stack([inputs]).to(device)
        position: torch.Tensor = actor.predict(batch, torch.Generator().manual_seed(0)).position.float()
    return position
