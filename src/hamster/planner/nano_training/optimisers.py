"""Muon for matrices and kernels, AdamW for the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hamster.muon import Muon


def build(
    model: nn.Module, probes: nn.Module, muon_lr: float, adamw_lr: float, weight_decay: float
) -> dict[str, torch.optim.Optimizer]:
    """Muon for the decoder's matrices and the tower's kernels, AdamW for all else that is not frozen.

    Vectors, most of which are the weights of norms, do not decay.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in named.items() if (name.startswith("layers.") and p.ndim == 2) or p.ndim == 4]
    chosen = {id(p) for p in inner}
    others = [p for module in (model, probes) for p in module.parameters() if p.requires_grad and id(p) not in chosen]
    matrices, vectors = [p for p in others if p.ndim > 1], [p for p in others if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    return {**({"muon": Muon(inner, muon_lr, weight_decay)} if inner else {}), "adamw": adamw}
