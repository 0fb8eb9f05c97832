"""Named configurations of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Adapt = Literal["full", "lora", "qlora"]


@dataclass(frozen=True)
class SftConfig:
    """How a vision-language model is fine-tuned.

    Attributes:
        adapt: "full" trains all weights (kept in float32, computed with in bfloat16 on a GPU), "lora" low-rank adapters
            beside frozen weights, "qlora" the same beside weights of 4 bits.
        vision: whether the vision encoder learns, too (with "lora": gets adapters).
        batch: samples a step, of all processes and accumulated batches together.
        micro_batch: samples at once on one device; the rest of the batch is accumulated.
        epochs: passes over the mixture, unless `steps` says how many steps to take.
        lr: of AdamW at its highest: it rises over the first `warmup` of the steps, then falls by a cosine to 0.
        weight_decay, clip: of AdamW, and of the gradient's norm.
        rank, alpha, dropout: of the adapters.
        checkpointing: compute activations again in the backward pass rather than keep them.
        frames: of each episode, evenly spaced.
        held_out: share of the episodes, images and conversations of each set that is only asked about.
        evaluate_every, evaluate_on: steps between evaluations, and on how many held-out samples of each set.
        save_every: steps between checkpoints, of which the last two are kept. log_every: steps between losses.
        gripper: share of the questions that say where the gripper is.
        workers: processes that prepare batches ahead.
        seed: of everything that is drawn.
    """

    adapt: Adapt = "lora"
    vision: bool = True
    batch: int = 64
    micro_batch: int = 1
    epochs: float = 1.0
    steps: int | None = None
    lr: float = 1e-4
    warmup: float = 0.03
    weight_decay: float = 0.0
    clip: float = 1.0
    rank: int = 32
    alpha: int = 64
    dropout: float = 0.0
    checkpointing: bool = True
    frames: int = 8
    held_out: float = 0.02
    evaluate_every: int = 500
    evaluate_on: int = 128
    save_every: int = 250
    log_every: int = 10
    gripper: float = 0.0
    workers: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.adapt not in ("full", "lora", "qlora"):
            raise ValueError(f"adapt is full, lora or qlora, not {self.adapt!r}")
        if not (0 < self.micro_batch <= self.batch and self.epochs > 0 and (self.steps is None or self.steps > 0)):
            raise ValueError("need 1 <= micro_batch <= batch, epochs > 0 and steps > 0")
        if not (0 <= self.held_out < 1 and self.lr > 0 and 0 <= self.warmup < 1 and 0 <= self.gripper <= 1):
            raise ValueError("need 0 <= held_out < 1, lr > 0, 0 <= warmup < 1 and 0 <= gripper <= 1")


PRESETS: dict[str, SftConfig] = {
    # HAMSTER (ICLR 2025): "effective batch size of 256 and a learning rate of 1 x 10^-5", "the entire model - including
    # the vision encoder - is updated", all sources sampled uniformly. Epochs, warm-up and schedule are not published;
    # these are RoboPoint's, whose mixture it grew from.
    "paper": SftConfig("full", batch=256, lr=1e-5),
    "full": SftConfig("full", batch=64, lr=1e-5),
    "lora": SftConfig("lora"),
    "qlora": SftConfig("qlora"),
    "debug-lora": SftConfig(
        batch=4, micro_batch=2, steps=4, lr=1e-3, rank=4, alpha=8, checkpointing=False, frames=2, held_out=0.2,
        evaluate_every=2, evaluate_on=4, save_every=2, log_every=1, workers=0,
    ),
}  # fmt: skip
"""What each of them needs for models of several sizes is in docs/finetuning.md, and `--dry-run` says it for yours."""
