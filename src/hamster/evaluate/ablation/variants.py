"""Variants of policies, by conditioners and share of the demonstrations; trained one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hamster.identity import claimed, differences
from hamster.label.dataset import content_digest
from hamster.policy.training.presets import TrainConfig, adapted, preset, recorded_config

# One core of an EPYC, bf16, batches of 16; the time of a finished variant of the same type replaces it.
SECONDS_PER_STEP = {"flow": 0.17, "views": 0.5, "image": 0.3, "monolithic": 0.5}
UNKNOWN_S = 0.5


@dataclass(frozen=True)
class Variant:
    """One training.

    Attributes:
        name: of its folder, for example "flow-tokens+foveas-50": preset, conditioners, per cent of the demonstrations.
        config: of the training.
        folder: where its checkpoint goes.
    """

    name: str
    config: TrainConfig
    folder: Path

    @property
    def is_trained(self) -> bool:
        """Whether the folder holds the finished checkpoint of this training."""
        try:
            trained_by = json.loads((self.folder / "train_info.json").read_text())["train"]
        except (OSError, ValueError, KeyError):
            return False
        return recorded_config(trained_by, self.config) == self.config.to_json()

    def check_data(self, data_dir: Path) -> None:
        """Raise ValueError if it was trained on another label set than the one in this folder now."""
        before = claimed(self.folder).get("data")
        if before is None or not (data_dir / "manifest.json").is_file():
            return
        if other := differences({"data": before}, {"data": content_digest(data_dir)}):
            raise ValueError(
                f"{self.folder} holds another training ({other}); name another --out, or remove that folder"
            )

    def train(self, data_dir: Path, packs: Path) -> None:
        """Train, or continue where it stopped; ValueError if it was trained on other data.

        Args:
            data_dir: label set of demonstrations.
            packs: folder of packed datasets, by policy type.
        """
        from hamster.policy.training.train import train_policy

        self.check_data(data_dir)
        if not self.is_trained:
            train_policy(self.config, data_dir, self.folder, packs / self.config.actor.type)


def variants(
    out: Path,
    presets: Sequence[str],
    conditioners: Sequence[str],
    demonstrations: Sequence[float],
    steps: int | None,
    seed: int,
) -> tuple[list[Variant], list[str]]:
    """Return all valid combinations, and the reasons why the others are invalid.

    Args:
        out: gets a folder per variant.
        presets: names of training configurations.
        conditioners: each one a name, several joined by "+", "default", or "none": a policy that never sees a path. A
            policy type that takes none at all (monolithic) is one variant, whatever is listed.
        demonstrations: shares of each task family's episodes.
        steps: None for the preset's own.
        seed: of the trainings.

    Raises:
        ValueError: if there is no such preset, or nothing is left to train.
    """
    valid: dict[str, Variant] = {}
    refused: list[str] = []
    for name, joined, share in product(presets, conditioners, demonstrations):
        base = preset(name)
        names = _conditioners(base, joined)
        label = "-".join([name, *(["+".join(names) or "none"] if base.actor.conditioners else []), f"{share * 100:g}"])
        try:
            config = adapted(base, names if base.actor.conditioners else None, share, steps, seed)
            _try_to_build(config)
        except (ValueError, KeyError) as error:
            refused.append(f"{label}: {error}")
        else:
            valid.setdefault(label, Variant(label, config, out / label))
    if not valid:
        raise ValueError(f"nothing to train: {'; '.join(refused)}")
    return list(valid.values()), refused


def seconds_left(variant: Variant, siblings: Sequence[Variant]) -> float:
    """Return the estimated remaining seconds of a training on one core.

    Args:
        variant: the training.
        siblings: finished ones of the same type give the time per step.
    """
    if variant.is_trained:
        return 0.0
    policy_type, steps = variant.config.actor.type, variant.config.steps
    rates = [_seconds_per_step(v) for v in siblings if v.is_trained and v.config.actor.type == policy_type]
    return steps * (rates[0] if rates else SECONDS_PER_STEP.get(policy_type, UNKNOWN_S))


def _conditioners(base: TrainConfig, joined: str) -> tuple[str, ...]:
    if joined == "default":
        return base.actor.conditioners
    return () if joined == "none" else tuple(joined.split("+"))


def _try_to_build(config: TrainConfig) -> None:
    """Raise now what would otherwise fail after hours of other trainings."""
    from hamster.policy.registry import build_actor

    if getattr(config.actor, "co_training", False):
        raise ValueError("it trains on a second label set: hamster train policy --co-training-data; then --policies")
    build_actor(config.actor)


def _seconds_per_step(variant: Variant) -> float:
    info = json.loads((variant.folder / "train_info.json").read_text())
    return float(info["seconds"]) / variant.config.steps
