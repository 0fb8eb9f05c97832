"""What a family of policies has to bring: scenes to tensors, tensors to losses, tensors to motions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from hamster.policy.config import ActorConfig
from hamster.policy.scene import Scene


@dataclass(frozen=True, eq=False)
class Tensors:
    """A record of tensors; of a batch they all have the same leading dimension."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    @classmethod
    def stack(cls, samples: Sequence[Self]) -> Self:
        """A batch."""
        names = vars(samples[0])
        return cls(**{name: torch.stack([getattr(sample, name) for sample in samples]) for name in names})


@dataclass(frozen=True, eq=False)
class Target(Tensors):
    """What a demonstration did next, K poses; in a batch (B, K, ...).

    Attributes:
        position: (K, 3) metres from the tool, along the world's axes.
        rotation: (K, 3, 3) world from tool.
        is_open: (K,) float, the gripper's command once the pose is reached.
        done: () float, 1 where the path has been followed to its end already.
        touches: (K,) float, 1 where robot or load touch something on the way, 0 where not, NaN where nobody knows.
    """

    position: Tensor
    rotation: Tensor
    is_open: Tensor
    done: Tensor
    touches: Tensor


@dataclass(frozen=True, eq=False)
class Prediction(Tensors):
    """What an actor would do next: as `Target`, with probabilities for `is_open`, `done` and `touches`.

    `touches` is NaN of an actor that does not say.

    Attributes:
        score: () how sure it is, in [0, 1].
    """

    position: Tensor
    rotation: Tensor
    is_open: Tensor
    done: Tensor
    touches: Tensor
    score: Tensor


Config = TypeVar("Config", bound=ActorConfig)
Inputs = TypeVar("Inputs", bound=Tensors)


class Actor(nn.Module, ABC, Generic[Config, Inputs]):
    """A network that follows paths. All families are trained, saved, measured and served through this interface."""

    config: Config

    def begin(self, tool_world: Tensor, goal_world: Tensor) -> None:
        """Called once before training, with where tools (N, 4, 4) were and where they went: to scale by it."""

    @abstractmethod
    def prepare(self, scene: Scene) -> Inputs:
        """One scene as the network takes it: the same function in training and in service.

        Raises:
            ValueError: if the scene lacks a view, depth or calibration that this family needs.
        """

    @abstractmethod
    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """What is minimised, by name; their sum is the loss. All randomness comes from the generator (on the CPU)."""

    @abstractmethod
    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """The next poses of a batch."""


AnyActor: TypeAlias = Actor[Any, Any]


def as_float(values: ArrayLike) -> Tensor:
    """A float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
