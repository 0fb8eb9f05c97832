"""Training configurations, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hamster.policy.config import ActorConfig
from hamster.policy.flow.config import DENSE as FLOW_DENSE
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.legacy_names import upgrade_train_config
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.training.augment import NONE, AugmentConfig
from hamster.policy.views.config import NANO as VIEWS_NANO
from hamster.registry import unknown_name


@dataclass(frozen=True)
class TrainConfig:
    """How an actor is trained.

    Attributes:
        actor, augment: policy type with its architecture, and augmentation.
        data_fraction: the fraction of each family's episodes that is used.
        seed: of all randomness.
        steps, batch_size: of the optimiser.
        lr, muon_lr: of AdamW, and of Muon for the weights of hidden layers; 0 leaves those to AdamW.
        warmup_steps: of a linear warm-up, which a cosine down to a hundredth of the rate follows.
        weight_decay: of matrices.
        max_grad_norm: to which gradients are clipped.
        ema_decay: of the averaged weights, which are evaluated and saved.
        non_keyframe_weight: sampling weight of frames between keyposes, relative to those at which one was reached.
        frames_between_keyposes: how many of those are packed.
        held_out_every: every so many-th episode of a family is kept for evaluation; 0 keeps none.
        evaluate_every, save_every: steps.
        num_workers: processes that prepare batches ahead; 0: the training does it itself, and waits a third of the
            time.
        bf16: run the network in bfloat16; geometry is float32 always.
    """

    actor: ActorConfig = field(default_factory=FlowConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    data_fraction: float = 1.0
    seed: int = 0
    steps: int = 3000
    batch_size: int = 16
    lr: float = 1e-3
    muon_lr: float = 0.0
    warmup_steps: int = 200
    weight_decay: float = 0.02
    max_grad_norm: float = 1.0
    ema_decay: float = 0.998
    non_keyframe_weight: float = 0.3
    frames_between_keyposes: int = 2
    held_out_every: int = 16
    evaluate_every: int = 500
    save_every: int = 250
    num_workers: int = 1
    bf16: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with the policy's type, as checkpoints and training states hold them."""
        record: dict[str, Any] = json.loads(json.dumps({"type": self.actor.type, **asdict(self)}))
        return record


def recorded_config(record: Mapping[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Return the record of a training as it would be written today: today's names, and options that are new since.

    Args:
        record: `TrainConfig.to_json` of some version.
        config: of the same policy type; new options have its type's defaults.
    """
    defaults, upgraded = TrainConfig(actor=type(config.actor)()).to_json(), upgrade_train_config(record)
    actor = upgraded.get("actor")
    if isinstance(actor, Mapping) and upgraded.get("type") == config.actor.type:
        upgraded["actor"] = {**defaults["actor"], **actor}
    return defaults | upgraded


INSTRUCTION_TOKENS = 24  # longer than any instruction of the tabletop

MAX_COLOR_JITTER_OF_WORDS = 0.06


def without_path(augment: AugmentConfig) -> AugmentConfig:
    """Return the augmentation of a policy that is told its task in words alone.

    The image must be that of the scene which the words are about, the robot where the image shows it, and colours must
    keep their names. Only a path says what to do whatever the image shows.
    """
    return replace(
        augment,
        path_dropout_prob=1.0,
        swap_image_prob=0.0,
        completed_prob=0.0,
        color_jitter=min(augment.color_jitter, MAX_COLOR_JITTER_OF_WORDS),
    )


WITHOUT_PATH = TrainConfig(augment=without_path(AugmentConfig()))
# One image of a fixed camera.
MONOLITHIC = TrainConfig(
    actor=MonolithicConfig(),
    augment=replace(WITHOUT_PATH.augment, yaw_range_rad=0.0, fixed_camera=True),
    steps=2000,
    lr=1.5e-3,
    warmup_steps=100,
)

FLOW = FlowConfig(conditioners=("tokens", "foveas", "channels"), history_since_path=True)

PRESETS: dict[str, TrainConfig] = {
    "flow": TrainConfig(actor=FLOW),
    "flow-dense": TrainConfig(actor=replace(FLOW_DENSE, history_since_path=True)),
    "flow-depth": TrainConfig(actor=replace(FLOW, path_depth=True)),
    "flow-latent": replace(WITHOUT_PATH, actor=FlowConfig(conditioners=("latent",))),
    "flow-language": replace(
        WITHOUT_PATH,
        actor=FlowConfig(conditioners=(), max_instruction_tokens=INSTRUCTION_TOKENS, text_encoder="planner"),
    ),
    # Muon takes a half of AdamW's steps here; with it `flow` stays at ten times AdamW's error.
    "views": TrainConfig(actor=replace(VIEWS_NANO, history_since_path=True), batch_size=8, muon_lr=0.02),
    "views-language": replace(
        WITHOUT_PATH,
        actor=replace(VIEWS_NANO, conditioners=(), max_instruction_tokens=INSTRUCTION_TOKENS, text_encoder="planner"),
        batch_size=8,
        muon_lr=0.02,
    ),
    # No depth, no calibration: the world is not rotated, and a chunk may start at any frame. The path is drawn, and
    # given as waypoints: to learn it from the drawing alone takes many more steps.
    "image": TrainConfig(
        actor=ImageConfig(conditioners=("overlay", "tokens"), history_since_path=True),
        augment=AugmentConfig(
            first_frame_path_prob=0.8,
            swap_image_prob=0.0,
            completed_prob=0.0,
            tool_noise_std_m=0.008,
            yaw_range_rad=0.0,
            fixed_camera=True,
        ),
        steps=2500,
        lr=5e-4,
        warmup_steps=50,
        non_keyframe_weight=1.0,
    ),
    "monolithic": MONOLITHIC,
    "monolithic-scratch": replace(MONOLITHIC, actor=MonolithicConfig(pretrained=False)),
    "monolithic-cotrained": replace(MONOLITHIC, actor=MonolithicConfig(co_training=True)),
    "debug": TrainConfig(
        actor=FlowConfig(width=32, heads=2, crop_px=24, encoder_layers=1, decoder_layers=1, path_waypoints=6),
        augment=AugmentConfig(path_dropout_prob=0.0),
        steps=40,
        batch_size=8,
        warmup_steps=5,
        frames_between_keyposes=1,
        held_out_every=0,
        evaluate_every=20,
        save_every=10,
        num_workers=0,
        bf16=False,
    ),
}


def adapted(
    config: TrainConfig,
    conditioners: tuple[str, ...] | None = None,
    data_fraction: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    planner: str | None = None,
) -> TrainConfig:
    """Return a configuration with some changes; None leaves a field as it is.

    Without any conditioner there are no paths in training, and the augmentation is that of `without_path`; types with a
    text input get the instruction instead.

    Args:
        config: to change.
        conditioners: of the actor; () for none.
        data_fraction, steps, seed: as in `TrainConfig`.
        planner: name or folder of the planner that the policy is made of, or contains.

    Raises:
        ValueError: if the policy type cannot use such a conditioner or any planner, or a number makes no sense.
    """
    if data_fraction is not None and not 0 < data_fraction <= 1:
        raise ValueError(f"data_fraction is a share in (0, 1], got {data_fraction:g}")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    actor, augment = config.actor, config.augment
    if conditioners is not None:
        actor = replace(actor, conditioners=conditioners)
        if not conditioners:
            augment = without_path(augment)
            if getattr(actor, "max_instruction_tokens", None) == 0:
                actor = replace(actor, max_instruction_tokens=INSTRUCTION_TOKENS)  # type: ignore[call-arg]
    if planner is not None:
        if not contains_planner(actor):
            raise ValueError("no planner is part of this configuration: leave out --model, or take --config monolithic")
        actor = replace(actor, planner=planner)  # type: ignore[call-arg]
    changes = {"data_fraction": data_fraction, "steps": steps, "seed": seed}
    changed: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    return replace(config, actor=actor, augment=augment, **changed)


def contains_planner(actor: ActorConfig) -> bool:
    """Return whether a policy is made of a nano planner, or reads its states or word embeddings."""
    reads_it = "latent" in actor.conditioners or getattr(actor, "text_encoder", "hash") == "planner"
    return isinstance(actor, MonolithicConfig) or reads_it


def overfit_one_episode(config: TrainConfig) -> TrainConfig:
    """Return a configuration that overfits one episode within a minute: a sanity check.

    No augmentation, nothing held out; the table at the end is of the training frames.
    """
    dropout = float(config.augment.path_dropout_prob >= 1)
    fixed_camera = config.augment.fixed_camera
    return replace(
        config,
        augment=replace(NONE, first_frame_path_prob=1.0, path_dropout_prob=dropout, fixed_camera=fixed_camera),
        steps=20 * config.batch_size,
        batch_size=config.batch_size // 2,
        lr=2e-3,
        warmup_steps=20,
        ema_decay=0.98,
        frames_between_keyposes=1,
        held_out_every=0,
        evaluate_every=1 << 30,
        num_workers=0,
    )


def preset(name: str) -> TrainConfig:
    """Return the configuration of that name; for a registered policy type without one, the defaults.

    Raises:
        ValueError: if there is none; it lists the names there are.
    """
    if name in PRESETS:
        return PRESETS[name]
    from hamster.policy.registry import POLICY_TYPES, actor_class

    if name in POLICY_TYPES and not POLICY_TYPES.is_builtin(name):
        config_class = actor_class(name).config_class
        if config_class.type != name:
            raise ValueError(
                f"policy type {name!r}: `type` of its {config_class.__name__} is {config_class.type!r}; "
                f"it must be {name!r}"
            )
        return TrainConfig(actor=config_class())
    raise unknown_name("policy configuration", name, preset_names())


def preset_names() -> list[str]:
    """Return all names that `preset` knows."""
    from hamster.policy.registry import POLICY_TYPES

    return list(dict.fromkeys([*PRESETS, *POLICY_TYPES.names()]))
