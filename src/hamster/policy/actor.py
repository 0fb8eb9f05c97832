"""The interface of a policy type: inputs to tensors, tensors to losses, tensors to predicted poses.

All types are trained, saved, evaluated and served through `Actor`. A new type is a configuration and an actor:

    @dataclass(frozen=True)
    class MyConfig(ActorConfig):
        type: ClassVar[str] = "mine"
        width: int = 64

    @register_policy("mine")
    class MyActor(Actor[MyConfig, MyInputs]):
        config_class = MyConfig
        ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hamster.policy.config import ActorConfig
from hamster.policy.policy_input import PolicyInput, TensorBatch


@dataclass(frozen=True, eq=False)
class Target(TensorBatch):
    """What a demonstration did next, K poses; in a batch (B, K, ...).

    Attributes:
        position: (K, 3) metres from the tool, along the world's axes.
        rotation: (K, 3, 3) world from tool.
        is_open: (K,) float, the gripper command once the pose is reached.
        done: () float, 1 where the path has been followed to its end already.
        contact: (K,) float, 1 where robot or load touch something on the way, 0 where not, NaN where unknown.
    """

    position: Tensor
    rotation: Tensor
    is_open: Tensor
    done: Tensor
    contact: Tensor


@dataclass(frozen=True, eq=False)
class Prediction(TensorBatch):
    """What an actor would do next, K poses; in a batch (B, K, ...).

    Attributes:
        position: (K, 3) metres from the tool, along the world's axes.
        rotation: (K, 3, 3) world from tool.
        is_open: (K,) probability.
        done: () probability.
        contact_prob: (K,) probability; NaN for an actor that does not predict it.
        score: () confidence in [0, 1].
    """

    position: Tensor
    rotation: Tensor
    is_open: Tensor
    done: Tensor
    contact_prob: Tensor
    score: Tensor


class CoTraining(Protocol):
    """A second task in training."""

    def add_to(self, inputs: Any, rng: np.random.Generator) -> Any:
        """Return inputs of an actor with a sample of the second task beside them; all randomness is the generator's."""


Config = TypeVar("Config", bound=ActorConfig)
Inputs = TypeVar("Inputs", bound=TensorBatch)


class Actor(nn.Module, ABC, Generic[Config, Inputs]):
    """A network that follows paths, built from its configuration alone."""

    config_class: ClassVar[type[ActorConfig]]
    config: Config

    def fit_normalization(self, tool_world: Tensor, goal_world: Tensor) -> None:
        """Fit normalization statistics, which are saved with the weights; called once, before training.

        Args:
            tool_world: (N, 4, 4) tool poses in the training data, metres.
            goal_world: (N, 4, 4) poses that the tool went to next.
        """

    def open_co_training(self, folder: Path, cache: Path) -> CoTraining:
        """Open a label set of a second task; for types with an option `co_training`.

        Args:
            folder: the label set.
            cache: folder for what it is made of.

        Raises:
            ValueError: if this type has no second task, or the label set does not suit it.
        """
        del folder, cache
        raise ValueError(f"the {self.config.type} policy has no second task to train on")

    @abstractmethod
    def preprocess(self, policy_input: PolicyInput) -> Inputs:
        """Return one sample as the network takes it, on the CPU: the same function in training and in service.

        Raises:
            ValueError: if the input lacks a view, depth or calibration that this type needs.
        """

    @abstractmethod
    def compute_loss(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the losses by name; their sum is minimised.

        Args:
            inputs: a batch of samples.
            target: a batch of what the demonstrations did.
            generator: on the CPU; all randomness comes from it.
        """

    @abstractmethod
    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """Return the next poses of a batch; randomness as in `compute_loss`."""


AnyActor: TypeAlias = Actor[Any, Any]

__all__ = ["Actor", "ActorConfig", "AnyActor", "PolicyInput", "Prediction", "Target", "TensorBatch"]
