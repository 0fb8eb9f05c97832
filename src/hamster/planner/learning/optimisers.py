"""Muon for matrices and kernels, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn


class Muon(torch.optim.Muon):
    """Torch's Muon (Jordan et al., 2024) takes matrices alone; this one reads a kernel as a matrix of output rows."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = list(weights)
        flat = [nn.Parameter(weight.detach().flatten(1)) for weight in self._weights]  # shares the weights' memory
        super().__init__(flat, lr=lr, weight_decay=weight_decay)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """As any optimiser's."""
        for parameter, weight in zip(self.param_groups[0]["params"], self._weights, strict=True):
            parameter.grad = None if weight.grad is None else weight.grad.flatten(1)
        loss: float | None = super().step(closure)  # type: ignore[no-untyped-call]
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of the weights themselves, too."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None


def build(
    model: nn.Module, probes: nn.Module, muon_lr: float, adamw_lr: float, weight_decay: float
) -> dict[str, torch.optim.Optimizer]:
    """Muon for the decoder's matrices and the tower's kernels, AdamW for all else that is not frozen."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in named.items() if (name.startswith("layers.") and p.ndim == 2) or p.ndim == 4]
    chosen = {id(p) for p in inner}
    others = [p for module in (model, probes) for p in module.parameters() if p.requires_grad and id(p) not in chosen]
    adamw = torch.optim.AdamW(others, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    return {**({"muon": Muon(inner, muon_lr, weight_decay)} if inner else {}), "adamw": adamw}
