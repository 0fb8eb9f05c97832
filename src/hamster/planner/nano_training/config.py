"""Named configurations of training the nano planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hamster.nano.configuration import LAYOUT
from hamster.planner.nano_training.augment import Augmentation

PRESENCE = {"presence_heads": 16}
HEIGHT = {"height_size": 128}


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of a planner's training.

    Attributes:
        steps: optimiser steps, or None to train for `seconds`.
        seconds: training time, summed over all resumptions; the learning rate follows whichever budget is set.
        batch: images per step, of all processes together.
        each: instructions per image.
        muon_lr: learning rate of the decoder's matrices and the tower's kernels.
        adamw_lr: learning rate of everything else of the planner.
        probe_lr: learning rate of the heads that only training uses; they start at random, also in fine-tuning.
        weight_decay: of all but vectors. Muon's steps all have the same size, so weights settle after about
            1 / (rate * decay) steps: at a decay of 0.01 that is 5,000 steps, too late to bound a training of 7,000.
        warmup: share of the budget in which the learning rates rise.
        decay: share of the budget in which they fall to zero.
        save_every_s: seconds between checkpoints.
        log_every: steps between metrics.
        watch_every: steps between measurements of the scale of states and attention (`ranges`).
        evaluate_every: steps between evaluations on held-out images.
        evaluate_on: number of instructions in an evaluation.
        held_out: share of each label set, its last images, that is held out; at most 500 images.
        model: options that differ from `HamsterNanoConfig`; in fine-tuning they may only add modules.
        facts: texts per step that describe a word without an image ("the colour of grass" for "green").
        presence_only: train only the detection of what is not in view (`presence`); predicted paths do not change.
        height_only: train only the estimate of waypoints' height (`height`); likewise.
        augmentation: strengths of the image augmentations.
        seed: of all random numbers.

    Raises:
        ValueError: if both `presence_only` and `height_only` are set.
    """

    steps: int | None = None
    seconds: float | None = None
    batch: int = 16
    each: int = 8
    muon_lr: float = 0.02
    adamw_lr: float = 1.5e-3
    probe_lr: float = 1.5e-3
    weight_decay: float = 0.01
    warmup: float = 0.01
    decay: float = 0.45
    save_every_s: float = 120.0
    log_every: int = 20
    watch_every: int = 100
    evaluate_every: int = 500
    evaluate_on: int = 192
    held_out: float = 0.05
    model: dict[str, Any] = field(default_factory=lambda: dict(PRESENCE))
    facts: int = 0
    presence_only: bool = False
    height_only: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.presence_only and self.height_only:
            raise ValueError("one module alone is trained at a time: set either presence_only or height_only")

    @property
    def only(self) -> Literal["", "presence", "height"]:
        """Return the name of the module that is trained alone; "" for the whole planner."""
        return "presence" if self.presence_only else "height" if self.height_only else ""


PRESETS = {
    "nano": TrainConfig(
        steps=7000, evaluate_every=1000, evaluate_on=256, weight_decay=0.05, model={**PRESENCE, **HEIGHT, **LAYOUT},
        facts=16,
    ),
    "finetune": TrainConfig(
        steps=600, evaluate_every=200, evaluate_on=256, muon_lr=0.004, adamw_lr=3e-4, warmup=0.05, decay=0.7, facts=16,
    ),
    "refusal": TrainConfig(
        steps=1200, each=12, evaluate_every=1200, evaluate_on=256, muon_lr=0.0, adamw_lr=2e-3, warmup=0.02, decay=0.7,
        weight_decay=0.01, presence_only=True,
    ),
    "height": TrainConfig(
        steps=1200, evaluate_every=1200, evaluate_on=256, muon_lr=0.0, adamw_lr=2e-3, warmup=0.02, decay=0.7,
        weight_decay=0.05, model=HEIGHT, height_only=True,
    ),
    "debug": TrainConfig(
        steps=20, batch=4, each=4, log_every=5, watch_every=5, evaluate_every=10, evaluate_on=8,
        weight_decay=0.05, facts=4,
        model={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
               "tower_channels": [8, 16, 32], "tower_blocks": [0, 1], **PRESENCE, **HEIGHT, **LAYOUT},
    ),
}  # fmt: skip
