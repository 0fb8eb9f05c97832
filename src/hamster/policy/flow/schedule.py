"""From noise to an action: rectified flow, and diffusion (DDIM, DDPM) as an option. One network learns either.

Time runs from 0, pure noise, to 1, the action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import cos, pi

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]  # noisy actions (B, S, ...) and times (B, S) -> prediction of `target`
TRAINING_LEVELS = 100  # of noise, by diffusion
COSINE_OFFSET = 0.008  # of the schedule, so that the last steps do not have too little noise


class Schedule(ABC):
    """How noise is added, what the network learns to predict of noisy actions, and how that is sampled from."""

    @abstractmethod
    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw times to train at."""

    @abstractmethod
    def add_noise(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Return noisy actions.

        Args:
            action, noise: (B, S, ...).
            time: (B, S).
        """

    @abstractmethod
    def target(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Return what the network is to predict of `add_noise(action, noise, time)`; arguments as of that."""

    @abstractmethod
    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Integrate noise to actions.

        Args:
            noise: (B, S, ...).
            network: predicts the `target`.
            steps: calls of the network.
            generator: of further noise, on the CPU.
        """


class RectifiedFlow(Schedule):
    """Straight lines at constant velocity (Liu et al. 2023), times logit-normal (Esser et al. 2024), Euler steps."""

    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw times, most of them in the middle."""
        return torch.randn(shape, generator=generator).mul(1.5).sigmoid()

    def add_noise(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Interpolate linearly."""
        return noise + _broadcast(time, action) * (action - noise)

    def target(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Return the velocity."""
        return action - noise

    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Integrate by Euler's method; draws nothing."""
        for step in range(steps):
            noise = noise + network(noise, torch.full(noise.shape[:2], step / steps, device=noise.device)) / steps
        return noise


class Diffusion(Schedule):
    """A cosine schedule (Nichol & Dhariwal 2021) with v-prediction (Salimans & Ho 2022).

    Velocities are well-behaved also at pure noise, where the noise itself tells nothing about the action.

    Args:
        eta: the part of the noise that each step replaces by new noise: 0 is DDIM (Song et al. 2021), 1 is DDPM (Ho et
            al. 2020).
    """

    def __init__(self, eta: float) -> None:
        self.eta = eta

    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw one of the noise levels uniformly."""
        return torch.randint(TRAINING_LEVELS, shape, generator=generator) / TRAINING_LEVELS

    def add_noise(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Mix with constant variance, if the action's is 1."""
        alpha = _broadcast(alpha_bar(time), action)
        return alpha.sqrt() * action + (1 - alpha).sqrt() * noise

    def target(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Return the velocity: the derivative by the angle between noise and action."""
        alpha = _broadcast(alpha_bar(time), action)
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * action

    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Denoise: predict the action, go back to a little less noise, and so on."""
        x = noise
        for step in range(steps):
            alpha, alpha_next = (alpha_bar(torch.tensor(i / steps)).to(x.device) for i in (step, step + 1))
            velocity = network(x, torch.full(x.shape[:2], step / steps, device=x.device))
            action = alpha.sqrt() * x - (1 - alpha).sqrt() * velocity
            predicted_noise = (1 - alpha).sqrt() * x + alpha.sqrt() * velocity
            sigma = self.eta * ((1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)).sqrt()
            x = alpha_next.sqrt() * action + ((1 - alpha_next) - sigma**2).clamp(min=0).sqrt() * predicted_noise
            if self.eta:
                x = x + sigma * torch.randn(x.shape, generator=generator).to(x.device)
        return x


SCHEDULES: dict[str, Schedule] = {"flow": RectifiedFlow(), "ddim": Diffusion(0.0), "ddpm": Diffusion(1.0)}


def alpha_bar(time: Tensor) -> Tensor:
    """Return the action's part of the variance at times (...): next to nothing at time 0, and all of it at 1.

    >>> [round(float(part), 3) for part in alpha_bar(torch.tensor([0.0, 0.5, 1.0]))]
    [0.0, 0.494, 1.0]
    """
    angles = ((1 - time.double()) + COSINE_OFFSET) / (1 + COSINE_OFFSET) * pi / 2
    part = angles.cos() ** 2 / cos(COSINE_OFFSET / (1 + COSINE_OFFSET) * pi / 2) ** 2
    return part.clamp(1e-4, 1).float()


def _broadcast(time: Tensor, action: Tensor) -> Tensor:
    return time.view(*time.shape, *[1] * (action.dim() - time.dim()))
