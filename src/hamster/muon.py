"""The Muon optimiser for matrices and convolution kernels; planner and policies train it beside an AdamW."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from hamster.devices import computes_bfloat16


class Muon(torch.optim.Muon):
    """Torch's Muon (Jordan et al., 2024), which takes only matrices, extended to convolution kernels.

    A kernel is treated as a matrix with one row per output channel. The matrices are views of the weights' memory:
    create the optimiser after the model has been moved to its device.

    Torch orthogonalises in bfloat16. On a device that only emulates it, that takes longer than the rest of a training
    step, so there it is done in float32, for all matrices of a shape at once.

    Args:
        weights: matrices and kernels, at least 2-dimensional.
        lr: learning rate.
        weight_decay: decoupled weight decay.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = list(weights)
        flat = [nn.Parameter(weight.detach().flatten(1)) for weight in self._weights]
        super().__init__(flat, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one optimiser step; `closure`, if given, recomputes and returns the loss."""
        loss: float | None = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        matrices = self.param_groups[0]["params"]
        for matrix, weight in zip(matrices, self._weights, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        if computes_bfloat16(matrices[0].device):
            super().step()  # type: ignore[no-untyped-call]
        else:
            self._step_in_float32([matrix for matrix in matrices if matrix.grad is not None])
        return loss

    def _step_in_float32(self, matrices: Sequence[nn.Parameter]) -> None:
        """Do what torch's Muon does, with the defaults of its options, but for the number format."""
        group = self.param_groups[0]
        by_shape = defaultdict[torch.Size, list[nn.Parameter]](list)
        for matrix in matrices:
            by_shape[matrix.shape].append(matrix)
        for (rows, columns), alike in by_shape.items():
            directions = torch.stack([self._direction(matrix, group["momentum"]) for matrix in alike])
            lr = group["lr"] * math.sqrt(max(1, rows / columns))
            for matrix, change in zip(alike, orthogonalized(directions, group["ns_coefficients"]), strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-lr)

    def _direction(self, matrix: nn.Parameter, momentum: float) -> Tensor:
        """Return the gradient with Nesterov momentum."""
        gradient, state = matrix.grad, self.state[matrix]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the matrices and of the weights that they are views of."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None


def orthogonalized(matrices: Tensor, coefficients: tuple[float, float, float], steps: int = 5) -> Tensor:
    """Return nearly orthogonal matrices by the quintic Newton-Schulz iteration of Muon.

    Singular values end between about 0.5 and 1.5, singular vectors stay.

    Args:
        matrices: (N, R, C).
        coefficients: of x, x^3 and x^5.
        steps: number of iterations.
    """
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
