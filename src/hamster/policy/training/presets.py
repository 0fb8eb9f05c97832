"""Named configurations of training."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import Any

from hamster.policy.config import ActorConfig
from hamster.policy.flow.config import DENSE as FLOW_DENSE
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.training.augment import NONE, AugmentConfig
from hamster.policy.views.config import NANO as VIEWS_NANO


@dataclass(frozen=True)
class TrainConfig:
    """How an actor is trained.

    Attributes:
        actor, augment: the family and its architecture, and how the demonstrations are disturbed.
        demonstrations: the share of each family's episodes that is learned from.
        seed: of everything that is drawn.
        steps, batch: of the optimiser.
        lr, muon_lr: of AdamW, and of Muon for the weights of layers; 0 leaves those to AdamW.
        warmup, weight_decay, clip: a linear warm-up, then a cosine down to a hundredth.
        ema: decay of the averaged weights, which are the ones that are kept.
        on_the_way: weight of frames between keyposes, relative to those at which one was reached.
        between: frames between two keyposes that are packed.
        held_out_every: every so many-th episode of a family is kept for evaluation; 0 keeps none.
        evaluate_every, save_every: steps.
        workers: processes that prepare batches ahead; 0: the training does it itself, and waits a third of the time.
        bf16: run the network in bfloat16; geometry is float32 always.
    """

    actor: ActorConfig = field(default_factory=FlowConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    demonstrations: float = 1.0
    seed: int = 0
    steps: int = 3000
    batch: int = 16
    lr: float = 1e-3
    muon_lr: float = 0.0
    warmup: int = 200
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    on_the_way: float = 0.3
    between: int = 2
    held_out_every: int = 16
    evaluate_every: int = 500
    save_every: int = 250
    workers: int = 1
    bf16: bool = True


WORDS = 24  # longer than any instruction of the tabletop

PRESETS: dict[str, TrainConfig] = {
    "flow": TrainConfig(),
    "flow-dense": TrainConfig(actor=FLOW_DENSE),
    # Muon takes a half of AdamW's steps here; with it `flow` stays at ten times AdamW's error.
    "views": TrainConfig(actor=VIEWS_NANO, batch=8, muon_lr=0.02),
    # No depth, no calibration: the world stays where it is, and a chunk may start at any frame. The path is drawn, and
    # told in numbers: to find it in the picture alone takes many more steps.
    "image": TrainConfig(
        actor=ImageConfig(conditioners=("overlay", "tokens")),
        augment=AugmentConfig(
            stale_path=0.8, transplant=0.0, finish=0.0, tool_noise_m=0.008, turn_rad=0.0, fixed_camera=True
        ),
        steps=2500,
        lr=5e-4,
        warmup=50,
        on_the_way=1.0,
    ),
    # Words and one picture of a camera that stands still; colours are named, so they change little.
    "monolithic": TrainConfig(
        actor=MonolithicConfig(),
        augment=AugmentConfig(
            path_dropout=1.0, transplant=0.0, finish=0.0, turn_rad=0.0, colour=0.06, fixed_camera=True
        ),
        steps=2000,
        lr=1.5e-3,
        warmup=100,
    ),
    "debug": TrainConfig(
        actor=FlowConfig(width=32, heads=2, glimpse_px=24, encoder_layers=1, decoder_layers=1, path_waypoints=6),
        augment=AugmentConfig(path_dropout=0.0),
        steps=40,
        batch=8,
        warmup=5,
        between=1,
        held_out_every=0,
        evaluate_every=20,
        save_every=10,
        workers=0,
        bf16=False,
    ),
}


def adapted(
    config: TrainConfig,
    conditioners: tuple[str, ...] | None = None,
    demonstrations: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
) -> TrainConfig:
    """A configuration with some things otherwise; None leaves one as it is.

    What is trained without any conditioner never meets a path; where its family can read, it is told the words instead.

    Raises:
        ValueError: if the family has no such conditioner, or a number makes no sense.
    """
    if demonstrations is not None and not 0 < demonstrations <= 1:
        raise ValueError(f"demonstrations is a share in (0, 1], got {demonstrations:g}")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    actor, augment = config.actor, config.augment
    if conditioners is not None:
        actor = replace(actor, conditioners=conditioners)
        if not conditioners:
            augment = replace(augment, path_dropout=1.0)
            if getattr(actor, "words", None) == 0:
                actor = replace(actor, words=WORDS)  # type: ignore[call-arg]  # flow and views
    changes = {"demonstrations": demonstrations, "steps": steps, "seed": seed}
    changed: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    return replace(config, actor=actor, augment=augment, **changed)


def by_heart(config: TrainConfig) -> TrainConfig:
    """The same, to learn one episode by heart within a minute: what cannot even do that has a fault.

    Nothing is disturbed and nothing held out; the table at the end is of the frames that were learned.
    """
    blind = float(config.augment.path_dropout >= 1)
    return replace(
        config,
        augment=replace(NONE, stale_path=1.0, path_dropout=blind, fixed_camera=config.augment.fixed_camera),
        steps=20 * config.batch,
        batch=config.batch // 2,
        lr=2e-3,
        warmup=20,
        ema=0.98,
        between=1,
        held_out_every=0,
        evaluate_every=1 << 30,
        workers=0,
    )


def preset(name: str) -> TrainConfig:
    """The configuration of that name; ValueError lists the names there are."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown policy configuration {name!r}.{hint} There are: {', '.join(PRESETS)}.")
    return PRESETS[name]
