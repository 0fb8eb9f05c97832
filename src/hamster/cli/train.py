"""`hamster train`: train a planner or a policy on label sets."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from hamster.cli.names import listed
from hamster.cli.push_to_hub import Repo, push_to_hub
from hamster.extras import require
from hamster.hub import HubId, fetch
from hamster.hub_upload import check_repo, model_upload

LABELS = {"planner": "offdomain:13888", "policy": "tabletop-disturbed:320"}
FIRST = {"planner": "nano", "policy": "flow"}


@dataclass(frozen=True)
class Train:
    """Train a planner or a policy; the same command again continues an interrupted run."""

    what: Positional[Literal["planner", "policy"]]
    """Kind of model to train."""
    config: str | None = None
    """Name of a configuration; if not given, nano for a planner, flow for a policy."""
    data: tuple[str, ...] = ()
    """Label sets written by `hamster label`; for a planner one or several, each DIR or DIR:WEIGHT; if not given,
    outputs/labels/planner or …/policy."""
    model: str | None = None
    """Planner to fine-tune: a bundled name, or the folder or hub id of a vision-language model; if not given, the
    bundled nano for --config finetune, random weights for --config nano. For a policy: the nano planner that it is made
    of (monolithic) or contains (flow-latent, …-language); if not given, the bundled one."""
    tower: str | None = None
    """Nano planner whose trained image tower a planner trained with --config nano starts with; if not given, random
    weights."""
    out: Path | None = None
    """Folder of checkpoints and TensorBoard logs; if not given, outputs/train/planner or …/policy."""
    conditioners: str | None = None
    """Path conditioners of a policy, separated by commas, or "none"; if not given, the configuration's own."""
    demonstrations: float | None = None
    """Fraction of each task family's demonstrations that a policy is trained on."""
    co_training_data: Path | None = None
    """Label set of paths on images, the second task of the policy configuration monolithic-cotrained."""
    steps: int | None = None
    """Number of optimizer steps; if not given, the configuration's own."""
    seconds: float | None = None
    """Training time of the nano planner, instead of --steps; accumulated over runs that continue it."""
    seed: int | None = None
    """Random seed."""
    overfit: bool = False
    """Overfit one episode without augmentation (sanity check of a policy, about 1 min)."""
    estimated_depth: bool = False
    """Train a policy on demonstrations whose depth a model estimated, which no sensor measured."""
    dialect: str | None = None
    """Answer format for fine-tuning a planner, e.g. compact; if not given, the model's own."""
    lr: float | None = None
    """Peak learning rate of fine-tuning a planner."""
    batch: int | None = None
    """Batch size of a planner over all processes, in samples (for nano, in images)."""
    micro_batch: int | None = None
    """Batch size per device for fine-tuning a planner; gradients are accumulated to --batch."""
    dry_run: bool = False
    """Print steps, memory and tokens of a fine-tuning and three samples; train nothing."""
    push_to_hub: Repo = None

    def run(self) -> None:
        """Train to the end of the configuration."""
        out = self.out or Path("outputs/train") / self.what
        data = self.data or (str(Path("outputs/labels") / self.what),)
        config = self.config or FIRST[self.what]
        if self.push_to_hub is not None:
            check_repo(self.push_to_hub)
        if self.what == "planner":
            from hamster.cli.train_planner import train_planner
            from hamster.planner.nano_training.pictures import WeightedDataset

            self._refuse(
                "a policy's; a planner has none",
                conditioners=self.conditioners,
                demonstrations=self.demonstrations,
                overfit=self.overfit or None,
                estimated_depth=self.estimated_depth or None,
                co_training_data=self.co_training_data,
            )
            parts = [WeightedDataset.parse(text) for text in data]
            parts = [replace(part, folder=self._label_set(part.folder)) for part in parts]
            changes = {**self._tuned, "steps": self.steps, "seconds": self.seconds, "seed": self.seed}
            train_planner(config, parts, self.model, out, self.dry_run, changes, self.tower)
            if not self.dry_run:
                folder = out / "model"
                self._end(folder, f"hamster eval planner --planner {folder}", f"hamster eval --planner oracle,{folder}")
        else:
            require(("train",), "hamster train policy")
            from hamster.policy.training.presets import adapted, overfit_one_episode
            from hamster.policy.training.presets import preset as policy_preset
            from hamster.policy.training.train import train_policy

            self._refuse(
                "a planner's; a policy has none",
                **self._tuned,
                seconds=self.seconds,
                tower=self.tower,
                dry_run=self.dry_run or None,
            )
            if len(data) != 1:
                raise ValueError("a policy is trained on one label set: give one --data")
            labels = self._label_set(Path(data[0]))
            base = policy_preset(config)
            if self.overfit:
                base = overfit_one_episode(base)
            co_training = self.co_training_data and self._label_set(self.co_training_data)
            folder = train_policy(
                adapted(base, **self._changes),
                labels,
                out,
                estimated_depth=self.estimated_depth,
                co_training_dir=co_training,
            )
            self._end(folder, f"hamster eval --policy {folder}", f"hamster serve policy --policy {folder}")

    @property
    def _changes(self) -> dict[str, Any]:
        conditioners = None if self.conditioners is None else listed(self.conditioners.replace("none", ""))
        rest = {"data_fraction": self.demonstrations, "steps": self.steps, "seed": self.seed, "planner": self.model}
        return {"conditioners": conditioners, **rest}

    @property
    def _tuned(self) -> dict[str, Any]:
        return {"dialect": self.dialect, "lr": self.lr, "batch": self.batch, "micro_batch": self.micro_batch}

    def _refuse(self, reason: str, **options: Any) -> None:
        given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: {reason}")

    def _label_set(self, folder: Path) -> Path:
        """Return the folder of a label set; a dataset on the hub is downloaded into the cache."""
        fix = f"make one: hamster label {LABELS[self.what]} -o {folder}"
        if (hub_id := HubId.parse(folder)) is not None:
            try:
                folder = fetch(hub_id, "dataset")
            except ValueError as error:
                raise ValueError(f"no label set in {folder}; {fix}; {error}") from None
        if not (folder / "manifest.json").is_file():
            raise ValueError(f"no label set in {folder}; {fix}")
        return folder

    def _end(self, folder: Path, *commands: str) -> None:
        """Print the checkpoint's folder and the next commands, and upload it if asked, in the first process only."""
        from hamster.terminal import show_next

        if os.environ.get("RANK", "0") != "0":
            return
        print(f"checkpoint: {folder}")  # noqa: T201
        show_next(*commands)
        if self.push_to_hub is not None:
            push_to_hub(model_upload, folder, self.push_to_hub)
