"""The Muon optimiser for matrices and convolution kernels; planner and policies train it beside an AdamW."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn


class Muon(torch.optim.Muon):
    """Torch's Muon (Jordan et al., 2024), which takes only matrices, extended to convolution kernels.

    A kernel is treated as a matrix with one row per output channel. The matrices are views of the weights' memory:
    create the optimiser after the model has been moved to its device.

    Args:
        weights: matrices and kernels, at least 2-dimensional.
        lr: learning rate.
        weight_decay: decoupled weight decay.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = list(weights)
        flat = [nn.Parameter(weight.detach().flatten(1)) for weight in self._weights]
        super().__init__(flat, lr=lr, weight_decay=weight_decay)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one optimiser step; `closure`, if given, recomputes and returns the loss."""
        for parameter, weight in zip(self.param_groups[0]["params"], self._weights, strict=True):
            parameter.grad = None if weight.grad is None else weight.grad.flatten(1)
        loss: float | None = super().step(closure)  # type: ignore[no-untyped-call]
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the matrices and of the weights that they are views of."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None
