"""Muon for the weights of layers, AdamW for the rest, and how fast they learn at which step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hamster.muon import Muon
from hamster.policy.actor import AnyActor
from hamster.policy.training.presets import TrainConfig

SMALL = 16  # a matrix with fewer rows or columns is no transformation of features into features


def build(actor: AnyActor, config: TrainConfig) -> dict[str, torch.optim.Optimizer]:
    """Of all weights that are not frozen; no weight decay on vectors."""
    inner = _inner(actor) if config.muon_lr else []
    chosen = {id(p) for p in inner}
    rest = [p for p in actor.parameters() if p.requires_grad and id(p) not in chosen]
    matrices, vectors = [p for p in rest if p.dim() > 1], [p for p in rest if p.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay)
    return {**({"muon": Muon(inner, config.muon_lr, config.weight_decay)} if inner else {}), "adamw": adamw}


def step(optimisers: Mapping[str, Any], config: TrainConfig, number: int) -> None:
    """One step of each, and the gradients are forgotten."""
    for name, optimiser in optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = schedule(number, config) * (config.muon_lr if name == "muon" else config.lr)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def schedule(step: int, config: TrainConfig) -> float:
    """Part of the full rate: up to it in a line, then down to a hundredth in a cosine."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _inner(actor: AnyActor) -> list[nn.Parameter]:
    layers = [m.weight for m in actor.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    shared = {id(weight): weight for weight in layers if isinstance(weight, nn.Parameter) and weight.requires_grad}
    return [weight for weight in shared.values() if min(weight.flatten(1).shape) >= SMALL]
