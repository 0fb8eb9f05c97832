"""Names that checkpoints and training runs of 0.1 use, and what they are called now.

Readers translate them, so that folders written before load, and trainings go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

ACTOR_FIELDS = {
    "head": "action_type",
    "executed": "n_action_steps",
    "history": "n_obs_history",
    "glimpse_px": "crop_px",
    "words": "max_instruction_tokens",
    "briefing_layers": "cross_attention_layers",
    "visual_layers": "visual_self_attention_layers",
    "keep": "token_keep_ratio",
    "views": "virtual_views",
}
ACTOR_VALUES = {("backbone", "tower"): "conv_stem"}
AUGMENT_FIELDS = {
    "path_dropout": "path_dropout_prob",
    "stale_path": "first_frame_path_prob",
    "waypoint_noise": "waypoint_noise_std",
    "path_shift": "path_drift_std",
    "omit_waypoint": "omit_waypoint_prob",
    "transplant": "swap_image_prob",
    "finish": "completed_prob",
    "forget": "drop_history_prob",
    "tool_noise_m": "tool_noise_std_m",
    "tool_noise_rad": "tool_noise_std_rad",
    "forget_depth": "drop_path_depth_prob",
    "forget_gripper": "drop_gripper_prob",
    "turn_rad": "yaw_range_rad",
    "mirror": "mirror_prob",
    "depth_noise_m": "max_depth_noise_std_m",
    "point_dropout": "max_depth_dropout",
    "colour": "color_jitter",
}
TRAIN_FIELDS = {
    "demonstrations": "data_fraction",
    "batch": "batch_size",
    "warmup": "warmup_steps",
    "clip": "max_grad_norm",
    "ema": "ema_decay",
    "on_the_way": "non_keyframe_weight",
    "between": "frames_between_keyposes",
    "workers": "num_workers",
}
TENSORS = {
    "flow": [
        (r"^eyes\.tower\.", "crop_encoder.stem."),
        (r"^eyes\.place\.", "crop_encoder.position."),
        (r"^eyes\.", "crop_encoder."),
        (r"^images\.place\.", "image_encoder.position."),
        (r"^images\.relief\.", "image_encoder.relative_depth."),
        (r"^images\.", "image_encoder."),
        (r"^memory\.", "history."),
        (r"^age$", "history_order"),
        (r"^words\.", "word_embedding."),
        (r"^word_place$", "word_order"),
        (r"^briefing\.", "cross_attention."),
        (r"^point_(query|key)\.", r"weight_\1."),
        (r"^action\.", "action_embedding."),
        (r"^time\.", "time_embedding."),
        (r"^order$", "pose_order"),
        (r"^together\.", "pose_attention."),
    ],
    "views": [
        (r"^looks\.(\d+)\.place$", r"stages.\1.patch_position"),
        (r"^looks\.(\d+)\.body\.", r"stages.\1.robot."),
        (r"^looks\.(\d+)\.before\.", r"stages.\1.previous."),
        (r"^looks\.(\d+)\.words\.", r"stages.\1.word_embedding."),
        (r"^looks\.(\d+)\.word_place$", r"stages.\1.word_order"),
        (r"^looks\.(\d+)\.within\.", r"stages.\1.within_views."),
        (r"^looks\.(\d+)\.across\.", r"stages.\1.across_views."),
        (r"^looks\.(\d+)\.heat\.look\.", r"stages.\1.heat.conv."),
        (r"^looks\.(\d+)\.stem\.layers\.body\.", r"stages.\1.stem.layers.robot."),
        (r"^looks\.", "stages."),
        (r"^touches\.", "contact."),
    ],
    "image": [
        (r"^eyes\.", "image_encoder."),
        (r"^places$", "patch_position"),
        (r"^facts\.", "state_embedding."),
        (r"^gist\.", "state_summary."),
        (r"^steps\.", "pose_queries."),
    ],
    "monolithic": [
        (r"^glance\.seen\.", "pointer.patch_value."),
        (r"^glance\.mix\.", "pointer.gate_value."),
        (r"^glance\.change\.", "pointer.out."),
        (r"^glance\.", "pointer."),
    ],
}


def upgrade_config(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of config.json with the names of today: `type`, and fields of `actor`."""
    upgraded = renamed(record, {"family": "type"})
    if isinstance(upgraded.get("actor"), Mapping):
        upgraded["actor"] = upgrade_actor(upgraded["actor"])
    return upgraded


def upgrade_actor(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an actor's configuration with the names of today."""
    upgraded = renamed(values, ACTOR_FIELDS)
    return {
        name: ACTOR_VALUES.get((name, value), value) if isinstance(value, str) else value
        for name, value in upgraded.items()
    }


def upgrade_train_config(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training's configuration with the names of today."""
    upgraded = renamed(upgrade_config(record), TRAIN_FIELDS)
    if isinstance(upgraded.get("augment"), Mapping):
        upgraded["augment"] = renamed(upgraded["augment"], AUGMENT_FIELDS)
    return upgraded


def upgrade_run_identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of a training in run.json, flattened to "config.actor.head", with the names of today."""
    tables = {
        "config": {**TRAIN_FIELDS, "family": "type"},
        "config.actor": ACTOR_FIELDS,
        "config.augment": AUGMENT_FIELDS,
    }
    upgraded: dict[str, Any] = {}
    for name, value in record.items():
        *parents, field = name.split(".")
        new = tables.get(".".join(parents), {}).get(field, field)
        value = ACTOR_VALUES.get((field, value), value) if isinstance(value, str) else value
        upgraded[".".join([*parents, new])] = value
    return upgraded


def upgrade_tensor_name(policy_type: str, name: str) -> str:
    """Return the name of today of a tensor in a policy's state dict.

    >>> upgrade_tensor_name("flow", "eyes.tower.0.weight")
    'crop_encoder.stem.0.weight'
    """
    for pattern, replacement in TENSORS.get(policy_type, []):
        upgraded, count = re.subn(pattern, replacement, name)
        if count:
            return upgraded
    return name


def renamed(values: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """Return a record with some keys renamed, but for those whose new name is there already."""
    upgraded: dict[str, Value] = {}
    for name, value in values.items():
        new = names.get(name, name)
        upgraded[name if new in values else new] = value
    return upgraded
