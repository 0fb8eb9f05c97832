"""Faults of a connection and of sensors, drawn from a seed: what the simulated remote robot suffers on demand."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Faults:
    """Faults of the simulated remote robot. Times count from the connection.

    Attributes:
        latency_s: added to each observation.
        jitter_s: standard deviation of that, which is never negative.
        drop: share of the observations that never arrive.
        frozen_after_s: from then on the images stay the same.
        nan_after_s: from then on the tool pose is not a number.
        silent_after_s: from then on no observation arrives.
        die_after_s: then the robot's process ends.
        seed: of jitter and drops.

    Raises:
        ValueError: if a value is negative or not a number, or the share is not below 1.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    drop: float = 0.0
    frozen_after_s: float = math.inf
    nan_after_s: float = math.inf
    silent_after_s: float = math.inf
    die_after_s: float = math.inf
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must be >= 0, got {getattr(self, field.name)}")
        if not self.drop < 1:
            raise ValueError(f"drop must be a share below 1, got {self.drop}")

    def delay_s(self, random: np.random.Generator) -> float:
        """Draw the delay of one observation."""
        return max(0.0, self.latency_s + self.jitter_s * float(random.normal()))
