"""Policies that differ in how they see the path and in how much they were shown; trained one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hamster.identity import claimed, differences
from hamster.label.dataset import content_digest
from hamster.policy.legacy_names import upgrade_train_config
from hamster.policy.training.presets import TrainConfig, adapted, preset

# One core of an EPYC, bf16, batches of 16; what a finished variant of the family took replaces it.
SECONDS_PER_STEP = {"flow": 0.17, "views": 0.5, "image": 0.3, "monolithic": 0.5}
UNKNOWN_S = 0.5


@dataclass(frozen=True)
class Variant:
    """One training.

    Attributes:
        name: of its folder, for example "flow-tokens+foveas-50": preset, conditioners, per cent of the demonstrations.
        folder: where its checkpoint goes.
    """

    name: str
    config: TrainConfig
    folder: Path

    @property
    def is_trained(self) -> bool:
        """Whether the folder holds what this training ends with."""
        try:
            made_by = json.loads((self.folder / "train_info.json").read_text())["train"]
        except (OSError, ValueError, KeyError):
            return False
        # What has become an option since was its default then.
        made_by = TrainConfig().to_json() | upgrade_train_config(made_by)
        return bool(made_by == self.config.to_json())

    def check_data(self, data_dir: Path) -> None:
        """ValueError if it was trained on another label set than the one that is in this folder now."""
        before = claimed(self.folder).get("data")
        if before is None or not (data_dir / "manifest.json").is_file():
            return
        if other := differences({"data": before}, {"data": content_digest(data_dir)}):
            raise ValueError(
                f"{self.folder} holds another training ({other}); name another --out, or remove that folder"
            )

    def train(self, data_dir: Path, packs: Path) -> None:
        """Goes on where it stopped; does nothing if it is trained. ValueError if it is one of other data."""
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
    """All combinations that there can be, and why the others cannot.

    Args:
        out: gets a folder per variant.
        presets: names of training configurations.
        conditioners: each one a name, several joined by "+", "default", or "none": a policy that never sees a path. A
            family that takes none at all (monolithic) is one variant, whatever is listed.
        demonstrations: shares of each family's episodes.
        steps: None: as the preset says.

    Raises:
        ValueError: if there is no such preset, or nothing is left to train.
    """
    made: dict[str, Variant] = {}
    refused: list[str] = []
    for name, listed, share in product(presets, conditioners, demonstrations):
        base = preset(name)
        ways = _ways(base, listed)
        label = "-".join([name, *(["+".join(ways) or "none"] if base.actor.conditioners else []), f"{share * 100:g}"])
        try:
            config = adapted(base, ways if base.actor.conditioners else None, share, steps, seed)
            _try_to_build(config)
        except (ValueError, KeyError) as error:
            refused.append(f"{label}: {error}")
        else:
            made.setdefault(label, Variant(label, config, out / label))
    if not made:
        raise ValueError(f"nothing to train: {'; '.join(refused)}")
    return list(made.values()), refused


def seconds_left(variant: Variant, siblings: Sequence[Variant]) -> float:
    """About how long a training has yet to go, on one core."""
    if variant.is_trained:
        return 0.0
    family, steps = variant.config.actor.type, variant.config.steps
    known = [_rate(other) for other in siblings if other.is_trained and other.config.actor.type == family]
    return steps * (known[0] if known else SECONDS_PER_STEP.get(family, UNKNOWN_S))


def _ways(base: TrainConfig, listed: str) -> tuple[str, ...]:
    if listed == "default":
        return base.actor.conditioners
    return () if listed == "none" else tuple(listed.split("+"))


def _try_to_build(config: TrainConfig) -> None:
    """Raises what is wrong with it now, rather than in some hours."""
    from hamster.policy.registry import build_actor

    build_actor(config.actor)


def _rate(variant: Variant) -> float:
    info = json.loads((variant.folder / "train_info.json").read_text())
    return float(info["seconds"]) / variant.config.steps
