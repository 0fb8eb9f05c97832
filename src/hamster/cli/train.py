"""`hamster train`: a planner or a policy from a label set."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from hamster.cli.names import listed
from hamster.extras import extra
from hamster.hub import HubId, fetch

LABELS = {"planner": "offdomain:13888", "policy": "tabletop:320"}
FIRST = {"planner": "nano", "policy": "flow"}


@dataclass(frozen=True)
class Train:
    """Train a planner or a policy; the same command again continues an interrupted run."""

    what: Positional[Literal["planner", "policy"]]
    """Which of the two."""
    config: str | None = None
    """Name of a configuration; nano for a planner and flow for a policy if not given."""
    data: tuple[str, ...] = ()
    """Label sets written by `hamster label`, for a planner several, each DIR or DIR:weight; outputs/labels/planner or
    …/policy if not given."""
    model: str | None = None
    """A planner to fine-tune: a bundled one's name, or folder or hub id of any vision-language model. If not given,
    --config finetune starts from the bundled nano, --config nano from nothing."""
    out: Path | None = None
    """Where checkpoints and TensorBoard metrics go; outputs/train/planner or …/policy if not given."""
    conditioners: str | None = None
    """How a policy gets the path: names separated by commas, or "none"; the configuration's own if not given."""
    demonstrations: float | None = None
    """Fraction of each family's demonstrations that a policy is trained on."""
    steps: int | None = None
    """Of the optimiser; the configuration's own if not given."""
    seconds: float | None = None
    """Of training the nano planner, in the place of steps; the time of all runs that continue it is added up."""
    seed: int | None = None
    """Random seed."""
    overfit: bool = False
    """Overfit one episode without augmentation: a sanity check of a policy that takes a minute."""
    dialect: str | None = None
    """Of a fine-tuned planner, in which it learns to say paths, compact, say; the model's own if not given."""
    lr: float | None = None
    """Of a fine-tuned planner, the highest learning rate."""
    batch: int | None = None
    """Of a planner, samples a step (for nano, images), of all processes together."""
    micro_batch: int | None = None
    """Of a fine-tuned planner, samples at once on a device; the rest of the batch is accumulated."""
    dry_run: bool = False
    """Say what a fine-tuning takes (steps, memory, tokens) and show three samples; train nothing."""

    def run(self) -> None:
        """Trains to the end of the configuration."""
        out = self.out or Path("outputs/train") / self.what
        data = self.data or (str(Path("outputs/labels") / self.what),)
        config = self.config or FIRST[self.what]
        if self.what == "planner":
            from hamster.cli.train_planner import train_planner
            from hamster.planner.nano_training.pictures import WeightedDataset

            self._refuse(
                "a policy's; a planner has none",
                conditioners=self.conditioners,
                demonstrations=self.demonstrations,
                overfit=self.overfit or None,
            )
            parts = [WeightedDataset.parse(text) for text in data]
            parts = [replace(part, folder=self._label_set(part.folder)) for part in parts]
            changes = {**self._tuned, "steps": self.steps, "seconds": self.seconds, "seed": self.seed}
            train_planner(config, parts, self.model, out, self.dry_run, changes)
            if not self.dry_run:
                folder = out / "model"
                _show_end(folder, f"hamster eval planner --planner {folder}", f"hamster eval --planner oracle,{folder}")
        else:
            from hamster.policy.training.presets import adapted, overfit_one_episode
            from hamster.policy.training.presets import preset as policy_preset

            with extra("train"):
                from hamster.policy.training.train import train_policy
            self._refuse(
                "a planner's; a policy has none", **self._tuned, seconds=self.seconds, dry_run=self.dry_run or None
            )
            if len(data) != 1 or self.model:
                raise ValueError("a policy is trained from nothing, on one label set: give one --data, and no --model")
            labels = self._label_set(Path(data[0]))
            base = policy_preset(config)
            if self.overfit:
                base = overfit_one_episode(base)
            folder = train_policy(adapted(base, **self._changes), labels, out)
            _show_end(folder, f"hamster eval --policy {folder}", f"hamster serve policy --policy {folder}")

    @property
    def _changes(self) -> dict[str, Any]:
        ways = None if self.conditioners is None else listed(self.conditioners.replace("none", ""))
        rest = {"data_fraction": self.demonstrations, "steps": self.steps, "seed": self.seed}
        return {"conditioners": ways, **rest}

    @property
    def _tuned(self) -> dict[str, Any]:
        return {"dialect": self.dialect, "lr": self.lr, "batch": self.batch, "micro_batch": self.micro_batch}

    def _refuse(self, whose: str, **options: Any) -> None:
        given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: {whose}")

    def _label_set(self, folder: Path) -> Path:
        """Return the folder of a label set, of a dataset on the hub fetched into the cache."""
        way_out = f"make one: hamster label {LABELS[self.what]} -o {folder}"
        if (hub_id := HubId.parse(folder)) is not None:
            try:
                folder = fetch(hub_id, "dataset")
            except ValueError as error:
                raise ValueError(f"no label set in {folder}; {way_out}; {error}") from None
        if not (folder / "manifest.json").is_file():
            raise ValueError(f"no label set in {folder}; {way_out}")
        return folder


def _show_end(folder: Path, *commands: str) -> None:
    """Where the checkpoint lies, and what to do with it; said by the first process only."""
    from hamster.terminal import show_next

    if os.environ.get("RANK", "0") == "0":
        print(f"checkpoint: {folder}")  # noqa: T201
        show_next(*commands)
