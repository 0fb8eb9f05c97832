"""Which weights learn how."""

import pytest
import torch
from torch import nn

from hamster.policy.flow.config import FlowConfig
from hamster.policy.registry import build_actor
from hamster.policy.training.optimisers import build_optimisers, build_schedulers, lr_factor
from hamster.policy.training.presets import TrainConfig

CONFIG = TrainConfig(
    actor=FlowConfig(width=32, heads=2, encoder_layers=1, decoder_layers=1), steps=100, warmup_steps=10, muon_lr=0.02
)


def _addresses(optimisers: dict[str, torch.optim.Optimizer], name: str) -> list[int]:
    return [p.data_ptr() for group in optimisers[name].param_groups for p in group["params"]]


def test_every_weight_has_one_optimiser_and_layers_have_muon() -> None:
    actor = build_actor(CONFIG.actor)
    optimisers = build_optimisers(actor, CONFIG)
    addresses = [*_addresses(optimisers, "muon"), *_addresses(optimisers, "adamw")]
    assert sorted(addresses) == sorted(p.data_ptr() for p in actor.parameters())
    layers = {m.weight.data_ptr() for m in actor.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert set(_addresses(optimisers, "muon")) <= layers


def test_without_muon_and_without_gradients_for_what_is_frozen() -> None:
    actor = build_actor(CONFIG.actor)
    for parameter in list(actor.parameters())[:4]:
        parameter.requires_grad_(False)
    optimisers = build_optimisers(actor, TrainConfig(actor=CONFIG.actor))
    assert list(optimisers) == ["adamw"]
    assert set(_addresses(optimisers, "adamw")) == {p.data_ptr() for p in actor.parameters() if p.requires_grad}


def test_rates_rise_and_fall_together() -> None:
    rates = [lr_factor(step, CONFIG) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[-1] < 0.02
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    actor = build_actor(CONFIG.actor)
    optimisers = build_optimisers(actor, CONFIG)
    build_schedulers(optimisers.values(), CONFIG, 4)
    assert optimisers["muon"].param_groups[0]["lr"] == pytest.approx(rates[4] * CONFIG.muon_lr)
    assert optimisers["adamw"].param_groups[0]["lr"] == pytest.approx(rates[4] * CONFIG.lr)
