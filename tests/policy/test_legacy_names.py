"""Names of version 0.1 in configurations, trainings and weights; whole files of it are in test_compatibility.py."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hamster.policy import checkpoint
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.legacy_names import (
    ACTOR_FIELDS,
    AUGMENT_FIELDS,
    TENSORS,
    TRAIN_FIELDS,
    upgrade_run_identity,
    upgrade_tensor_name,
    upgrade_train_config,
)
from hamster.policy.registry import build_actor, config_from_json
from hamster.policy.training.augment import AugmentConfig
from hamster.policy.training.presets import PRESETS, TrainConfig
from hamster.policy.views.config import ViewsConfig

SMALL = {"width": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}


def test_every_new_name_is_a_field() -> None:
    actor = {field.name for config in (FlowConfig, ViewsConfig, ImageConfig) for field in fields(config)}
    assert set(ACTOR_FIELDS.values()) <= actor
    assert set(AUGMENT_FIELDS.values()) == {field.name for field in fields(AugmentConfig)} - {"fixed_camera"}
    assert set(TRAIN_FIELDS.values()) <= {field.name for field in fields(TrainConfig)}


def test_a_configuration_of_before_is_the_one_of_today() -> None:
    before = {**SMALL, "head": "trajectory", "horizon": 4, "executed": 2, "history": 3, "glimpse_px": 0}
    before |= {"image_px": 32, "backbone": "tower", "words": 5, "briefing_layers": 1, "visual_layers": 2, "keep": 0.5}
    config = config_from_json({"family": "flow", "actor": before | {"conditioners": ["tokens"]}}, "config.json")
    assert config == FlowConfig(
        **SMALL,
        action_type="trajectory",
        horizon=4,
        n_action_steps=2,
        n_obs_history=3,
        crop_px=0,
        image_px=32,
        backbone="conv_stem",
        max_instruction_tokens=5,
        cross_attention_layers=1,
        visual_self_attention_layers=2,
        token_keep_ratio=0.5,
        conditioners=("tokens",),
    )


def test_a_field_under_both_names_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"config\.json: unknown fields \['head'\]"):
        config_from_json({"type": "flow", "actor": {"head": "keypose", "action_type": "keypose"}}, "config.json")


def _with_old_names(record: dict) -> dict:
    """The record of a training as 0.1 wrote it."""
    old = {new: name for names in (TRAIN_FIELDS, {"family": "type"}) for name, new in names.items()}
    old_of = {"actor": ACTOR_FIELDS, "augment": AUGMENT_FIELDS}
    renamed = {}
    for name, value in record.items():
        if name in old_of:
            back = {new: before for before, new in old_of[name].items()}
            value = {back.get(field, field): item for field, item in value.items()}
        renamed[old.get(name, name)] = value
    return renamed


@pytest.mark.parametrize("name", PRESETS)
def test_a_trainings_configuration_and_identity_are_translated(name: str) -> None:
    now = PRESETS[name].to_json()
    before = _with_old_names(now)
    if now["actor"].get("backbone") == "conv_stem":
        before["actor"]["backbone"] = "tower"
    assert before != now and "family" in before and "batch" in before and "stale_path" in before["augment"]
    assert upgrade_train_config(before) == now == upgrade_train_config(now)
    flat = {f"config.{key}": value for key, value in before.items() if not isinstance(value, dict)}
    flat |= {f"config.{part}.{key}": value for part in ("actor", "augment") for key, value in before[part].items()}
    expected = {f"config.{key}": value for key, value in now.items() if not isinstance(value, dict)}
    expected |= {f"config.{part}.{key}": value for part in ("actor", "augment") for key, value in now[part].items()}
    assert upgrade_run_identity(flat | {"data": "abc"}) == expected | {"data": "abc"}


@pytest.mark.parametrize(
    ("policy_type", "before", "now"),
    [
        ("flow", "eyes.tower.0.weight", "crop_encoder.stem.0.weight"),
        ("flow", "images.relief.bias", "image_encoder.relative_depth.bias"),
        ("flow", "age", "history_order"),
        ("flow", "conditioners.tokens.embed.0.weight", "conditioners.tokens.embed.0.weight"),
        ("views", "looks.1.heat.look.weight", "stages.1.heat.conv.weight"),
        ("views", "looks.0.stem.layers.body.weight", "stages.0.stem.layers.robot.weight"),
        ("image", "gist.1.0.weight", "state_summary.1.0.weight"),
        ("monolithic", "glance.change.bias", "pointer.out.bias"),
        ("theirs", "eyes.weight", "eyes.weight"),
    ],
)
def test_tensors_are_renamed(policy_type: str, before: str, now: str) -> None:
    assert upgrade_tensor_name(policy_type, before) == now == upgrade_tensor_name(policy_type, now)


@pytest.mark.parametrize("config", [FlowConfig(**SMALL, crop_px=16, image_px=16, n_obs_history=2), ImageConfig()])
def test_names_of_today_are_none_of_before(config: FlowConfig | ImageConfig, tmp_path: Path) -> None:
    """Otherwise a checkpoint of today would be changed when it is read."""
    torch.manual_seed(0)
    actor = build_actor(config)
    checkpoint.save(tmp_path, actor)
    assert json.loads((tmp_path / "config.json").read_text())["actor"] == json.loads(json.dumps(asdict(config)))
    weights = load_file(tmp_path / "model.safetensors")
    assert all(upgrade_tensor_name(config.type, name) == name for name in weights)
    assert TENSORS[config.type]
    save_file({name: tensor.clone() for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    for name, tensor in checkpoint.load(tmp_path).state_dict().items():
        assert torch.equal(tensor, actor.state_dict()[name])
