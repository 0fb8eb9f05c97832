"""Named configurations of training."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from hamster.policy.augment import AugmentConfig
from hamster.policy.config import ActorConfig


@dataclass(frozen=True)
class TrainConfig:
    """How a flow actor is trained.

    Attributes:
        actor, augment: the architecture, and how the demonstrations are disturbed.
        seed: of everything that is drawn.
        steps, batch: of the optimiser.
        renoise: noisy actions per encoded sample: looking is dear, flowing is cheap.
        lr, warmup, weight_decay, clip: AdamW with a linear warm-up, then a cosine down to a hundredth.
        ema: decay of the averaged weights, which are the ones that are kept.
        on_the_way: weight of frames between keyposes, relative to those at which one was reached.
        between: frames between two keyposes that are packed.
        held_out_every: every so many-th episode of a family is kept for evaluation; 0 keeps none.
        evaluate_every, save_every: steps.
        bf16: run the network in bfloat16; geometry is float32 always.
    """

    actor: ActorConfig = field(default_factory=ActorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    steps: int = 3000
    batch: int = 16
    renoise: int = 4
    lr: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    on_the_way: float = 0.3
    between: int = 2
    held_out_every: int = 16
    evaluate_every: int = 500
    save_every: int = 250
    bf16: bool = True


PRESETS: dict[str, TrainConfig] = {
    "nano": TrainConfig(),
    "debug": TrainConfig(
        actor=ActorConfig(width=32, heads=2, glimpse_px=24, encoder_layers=1, decoder_layers=1, path_waypoints=6),
        augment=AugmentConfig(path_dropout=0.0),
        steps=40,
        batch=8,
        warmup=5,
        between=1,
        held_out_every=0,
        evaluate_every=20,
        save_every=10,
        bf16=False,
    ),
}


def preset(name: str) -> TrainConfig:
    """The configuration of that name; ValueError lists the names there are."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown policy configuration {name!r}.{hint} There are: {', '.join(PRESETS)}.")
    return PRESETS[name]
