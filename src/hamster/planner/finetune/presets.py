"""Named configurations of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["full", "lora", "qlora"]


@dataclass(frozen=True)
class FinetuneConfig:
    """How a vision-language model is fine-tuned.

    Attributes:
        method: "full" trains all weights (kept in float32, computed with in bfloat16 on a GPU), "lora" low-rank
            adapters beside frozen weights, "qlora" the same beside weights of 4 bits.
        train_vision: whether the vision encoder is trained, too (with "lora": gets adapters).
        batch_size: samples a step, of all processes and accumulated batches together.
        micro_batch_size: samples at once on one device; the rest of the batch is accumulated.
        epochs: passes over the mixture, unless `steps` says how many steps to take.
        learning_rate: of AdamW at its highest: it rises over the first `warmup_ratio` of the steps, then falls by a
            cosine to 0.
        weight_decay, max_grad_norm: of AdamW, and the clipping of the gradient's norm.
        lora_rank, lora_alpha, lora_dropout: of the adapters.
        gradient_checkpointing: compute activations again in the backward pass rather than keep them.
        frames_per_episode: evenly spaced.
        held_out_fraction: of the episodes, images and conversations of each set, for evaluation only.
        eval_every, eval_samples: steps between evaluations, and on how many held-out samples of each set.
        save_every: steps between checkpoints, of which the last two are kept.
        log_every: steps between logged losses.
        gripper_prompt_fraction: of the prompts state where the gripper is.
        dataloader_workers: processes that prepare batches ahead.
        seed: of all random draws.
    """

    method: Method = "lora"
    train_vision: bool = True
    batch_size: int = 64
    micro_batch_size: int = 1
    epochs: float = 1.0
    steps: int | None = None
    learning_rate: float = 1e-4
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    lora_rank: int = 32
    lora_alpha: int = 64
    lora_dropout: float = 0.0
    gradient_checkpointing: bool = True
    frames_per_episode: int = 8
    held_out_fraction: float = 0.02
    eval_every: int = 500
    eval_samples: int = 128
    save_every: int = 250
    log_every: int = 10
    gripper_prompt_fraction: float = 0.0
    dataloader_workers: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("full", "lora", "qlora"):
            raise ValueError(f"method is full, lora or qlora, not {self.method!r}")
        if not (0 < self.micro_batch_size <= self.batch_size):
            raise ValueError("need 1 <= micro_batch_size <= batch_size")
        if not (self.epochs > 0 and (self.steps is None or self.steps > 0) and self.learning_rate > 0):
            raise ValueError("need epochs, steps and learning_rate > 0")
        if not (0 <= self.held_out_fraction < 1 and 0 <= self.warmup_ratio < 1):
            raise ValueError("need 0 <= held_out_fraction < 1 and 0 <= warmup_ratio < 1")
        if not 0 <= self.gripper_prompt_fraction <= 1:
            raise ValueError("need 0 <= gripper_prompt_fraction <= 1")


PRESETS: dict[str, FinetuneConfig] = {
    # HAMSTER (ICLR 2025): "effective batch size of 256 and a learning rate of 1 x 10^-5", "the entire model - including
    # the vision encoder - is updated", all sources sampled uniformly. Epochs, warm-up and schedule are not published;
    # these are RoboPoint's, whose mixture it grew from.
    "paper": FinetuneConfig("full", batch_size=256, learning_rate=1e-5),
    "full": FinetuneConfig("full", batch_size=64, learning_rate=1e-5),
    "lora": FinetuneConfig("lora"),
    "qlora": FinetuneConfig("qlora"),
    "debug-lora": FinetuneConfig(
        batch_size=4, micro_batch_size=2, steps=4, learning_rate=1e-3, lora_rank=4, lora_alpha=8,
        gradient_checkpointing=False, frames_per_episode=2, held_out_fraction=0.2, eval_every=2, eval_samples=4,
        save_every=2, log_every=1, dataloader_workers=0,
    ),
}  # fmt: skip
"""What each of them needs for models of several sizes is in docs/finetuning.md, and `--dry-run` says it for yours."""
