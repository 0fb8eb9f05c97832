"""Muon for matrices and kernels, beside an AdamW for the rest: planner and policies alike learn faster with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn


class Muon(torch.optim.Muon):
    """Torch's Muon (Jordan et al., 2024) takes matrices alone; this one reads a kernel as a matrix of output rows.

    It shares the weights' memory: make it when they are where they stay.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = list(weights)
        flat = [nn.Parameter(weight.detach().flatten(1)) for weight in self._weights]
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
