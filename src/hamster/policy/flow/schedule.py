"""From noise to an action: rectified flow, and diffusion (DDIM, DDPM) as an option. One network learns either.

Time runs from 0, pure noise, to 1, the action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import cos, pi

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]  # noisy actions (B, S, ...) and times (B, S) -> what `wanted` says
LEVELS = 100  # of noise in training, by diffusion
EARLY = 0.008  # of the cosine schedule: little noise is not too little


class Schedule(ABC):
    """What the network learns to say about a noisy action, and how that leads to an action."""

    @abstractmethod
    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Random times to train at."""

    @abstractmethod
    def noisy(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Actions with noise (B, S, ...) at times (B, S)."""

    @abstractmethod
    def wanted(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the network is to say of them."""

    @abstractmethod
    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Carries noise (B, S, ...) to actions in so many calls of the network."""


class RectifiedFlow(Schedule):
    """Straight lines at constant velocity (Liu et al. 2023), times logit-normal (Esser et al. 2024), Euler steps."""

    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Most of them in the middle."""
        return torch.randn(shape, generator=generator).mul(1.5).sigmoid()

    def noisy(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """On the line between."""
        return noise + _like(time, action) * (action - noise)

    def wanted(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The velocity."""
        return action - noise

    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Euler's method; draws nothing."""
        for step in range(steps):
            noise = noise + network(noise, torch.full(noise.shape[:2], step / steps, device=noise.device)) / steps
        return noise


class Diffusion(Schedule):
    """A cosine schedule (Nichol & Dhariwal 2021) with velocities to be said (Salimans & Ho 2022).

    Those are well-behaved also at pure noise, where the noise itself says nothing about the action.

    Args:
        fresh: the part of the noise that a step takes away and draws anew: 0 is DDIM (Song et al. 2021), 1 is DDPM (Ho
            et al. 2020).
    """

    def __init__(self, fresh: float) -> None:
        self.fresh = fresh

    def times(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """All levels alike."""
        return torch.randint(LEVELS, shape, generator=generator) / LEVELS

    def noisy(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Of constant variance, if the action's is 1."""
        signal = _like(signal_share(time), action)
        return signal.sqrt() * action + (1 - signal).sqrt() * noise

    def wanted(self, action: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The derivative by the angle between noise and action."""
        signal = _like(signal_share(time), action)
        return signal.sqrt() * noise - (1 - signal).sqrt() * action

    def sample(self, noise: Tensor, network: Network, steps: int, generator: torch.Generator) -> Tensor:
        """Guesses the action, goes back to a little less noise, and so on."""
        x = noise
        for step in range(steps):
            now, then = (signal_share(torch.tensor(at / steps)).to(x.device) for at in (step, step + 1))
            said = network(x, torch.full(x.shape[:2], step / steps, device=x.device))
            action = now.sqrt() * x - (1 - now).sqrt() * said
            old = (1 - now).sqrt() * x + now.sqrt() * said
            fresh = self.fresh * ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
            x = then.sqrt() * action + ((1 - then) - fresh**2).clamp(min=0).sqrt() * old
            if self.fresh:
                x = x + fresh * torch.randn(x.shape, generator=generator).to(x.device)
        return x


SCHEDULES: dict[str, Schedule] = {"flow": RectifiedFlow(), "ddim": Diffusion(0.0), "ddpm": Diffusion(1.0)}


def signal_share(time: Tensor) -> Tensor:
    """The action's part of the variance: next to nothing at time 0, and all of it at 1."""
    angles = ((1 - time.double()) + EARLY) / (1 + EARLY) * pi / 2
    share = angles.cos() ** 2 / cos(EARLY / (1 + EARLY) * pi / 2) ** 2
    return share.clamp(1e-4, 1).float()


def _like(time: Tensor, action: Tensor) -> Tensor:
    return time.view(*time.shape, *[1] * (action.dim() - time.dim()))
