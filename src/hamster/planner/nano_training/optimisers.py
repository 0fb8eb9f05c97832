"""The optimisers of the planner's training: Muon for matrices and kernels, AdamW for the rest."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import nn

from hamster.muon import Muon


def build(
    model: nn.Module, probes: nn.Module, muon_lr: float, adamw_lr: float, weight_decay: float
) -> dict[str, torch.optim.Optimizer]:
    """Build Muon for the decoder's matrices and the tower's kernels, and AdamW for all other trainable weights.

    Vectors, mostly weights of normalisation layers, have no weight decay.

    Args:
        model: the planner.
        probes: heads that only training uses.
        muon_lr, adamw_lr: learning rates.
        weight_decay: of both.

    Returns:
        "adamw", and "muon" if it has weights to train.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in named.items() if (name.startswith("layers.") and p.ndim == 2) or p.ndim == 4]
    chosen = {id(p) for p in inner}
    others = [p for module in (model, probes) for p in module.parameters() if p.requires_grad and id(p) not in chosen]
    # Consecutive groups rather than two: weights keep the indices under which 0.1.0 saved an optimiser's state.
    groups: list[dict[str, Any]] = [
        {"params": list(run), "weight_decay": weight_decay if is_matrix else 0.0}
        for is_matrix, run in groupby(others, lambda p: p.ndim > 1)
    ]
    adamw = torch.optim.AdamW(groups, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    return {**({"muon": Muon(inner, muon_lr, weight_decay)} if inner else {}), "adamw": adamw}
