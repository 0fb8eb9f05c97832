"""The optimisers of the planner's training: Muon for matrices and kernels, AdamW for the rest."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import nn

from hamster.muon import Muon


def build(
    model: nn.Module, probes: nn.Module, muon_lr: float, adamw_lr: float, probe_lr: float, weight_decay: float
) -> dict[str, torch.optim.Optimizer]:
    """Build Muon for the decoder's matrices and the tower's kernels, and AdamW for all other trainable weights.

    Vectors, mostly weights of normalisation layers, have no weight decay. Each group holds its full learning rate as
    `initial_lr`, as PyTorch's schedulers have it.

    Args:
        model: the planner.
        probes: heads that only training uses.
        muon_lr, adamw_lr: learning rates.
        probe_lr: learning rate of the probes.
        weight_decay: of all matrices.

    Returns:
        "adamw", and "muon" if it has weights to train.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in named.items() if (name.startswith("layers.") and p.ndim == 2) or p.ndim == 4]
    chosen = {id(p) for p in inner}
    others = [p for module in (model, probes) for p in module.parameters() if p.requires_grad and id(p) not in chosen]
    of_probes = {id(p) for p in probes.parameters()}
    # Consecutive groups rather than one per kind: weights keep the indices under which 0.1.0 saved their state.
    groups: list[dict[str, Any]] = [
        {"params": list(run), "weight_decay": weight_decay if is_matrix else 0.0, "lr": probe_lr if new else adamw_lr}
        for (is_matrix, new), run in groupby(others, lambda p: (p.ndim > 1, id(p) in of_probes))
    ]
    adamw = torch.optim.AdamW(groups, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    made = {**({"muon": Muon(inner, muon_lr, weight_decay)} if inner else {}), "adamw": adamw}
    for group in (group for optimiser in made.values() for group in optimiser.param_groups):
        group["initial_lr"] = group["lr"]
    return made
