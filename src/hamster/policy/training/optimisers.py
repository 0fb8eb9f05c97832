"""Muon for the weights of hidden layers, AdamW for the rest; linear warm-up, then a cosine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from hamster.muon import Muon
from hamster.policy.actor import AnyActor
from hamster.policy.training.presets import TrainConfig

MIN_MATRIX_SIDE = 16  # a matrix with fewer rows or columns is no transformation of features into features
FINAL_LR_FACTOR = 0.01


def build_optimisers(actor: AnyActor, config: TrainConfig) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers, by name, of all weights that are not frozen; no weight decay on vectors."""
    inner = _inner_weights(actor) if config.muon_lr else []
    inner_ids = {id(p) for p in inner}
    rest = [p for p in actor.parameters() if p.requires_grad and id(p) not in inner_ids]
    matrices, vectors = [p for p in rest if p.dim() > 1], [p for p in rest if p.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay)
    return {**({"muon": Muon(inner, config.muon_lr, config.weight_decay)} if inner else {}), "adamw": adamw}


def build_schedulers(optimisers: Iterable[torch.optim.Optimizer], config: TrainConfig, step: int) -> list[LambdaLR]:
    """Return the learning-rate schedules of optimisers.

    Args:
        optimisers: with their full learning rates.
        config: says how long warm-up and training are.
        step: how many steps were made already.
    """
    schedulers = []
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group.setdefault("initial_lr", group["lr"])
        schedulers.append(LambdaLR(optimiser, partial(lr_factor, config=config), last_epoch=step - 1))
    return schedulers


def lr_factor(step: int, config: TrainConfig) -> float:
    """Return the factor on the learning rate: up to 1 linearly, then down to a hundredth in a cosine."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return FINAL_LR_FACTOR + (1 - FINAL_LR_FACTOR) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def _inner_weights(actor: AnyActor) -> list[nn.Parameter]:
    layers = [m.weight for m in actor.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    weights = {id(weight): weight for weight in layers if isinstance(weight, nn.Parameter) and weight.requires_grad}
    return [weight for weight in weights.values() if min(weight.flatten(1).shape) >= MIN_MATRIX_SIDE]
