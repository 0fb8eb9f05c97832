"""Ways for a policy to see a path. Each is a small module that adds to the actor's context, and adds nothing at first.

Every conditioner's last layer starts at zero, so a checkpoint that was trained without it loads and behaves the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.inputs import Inputs
from hamster.policy.layers import mlp

WAYPOINT_FEATURES = 5 + 3  # lift.LiftedPath.features and the ray


@dataclass(frozen=True)
class Tokens:
    """Context of the actor: features (B, N, width), positions (B, N, 3) in metres from the tool, and on (B, N)."""

    features: Tensor
    positions: Tensor
    on: Tensor

    def __add__(self, other: Tokens) -> Tokens:
        pairs = ((self.features, other.features), (self.positions, other.positions), (self.on, other.on))
        return Tokens(*(torch.cat(pair, 1) for pair in pairs))


class Conditioner(nn.Module):
    """What a conditioner may add; the defaults add nothing."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()

    def tokens(self, inputs: Inputs) -> Tokens | None:
        """Tokens of its own."""
        return None

    def glimpse_features(self, inputs: Inputs) -> Tensor | None:
        """(B, G, width), added to all visual tokens of each glimpse."""
        return None


class PathTokens(Conditioner):
    """The waypoints as tokens, at their places in 3D."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.embed = mlp(WAYPOINT_FEATURES, config.width, config.width)
        _zero(self.embed)

    def tokens(self, inputs: Inputs) -> Tokens:
        """One per waypoint."""
        return Tokens(self.embed(waypoint_features(inputs)), inputs.waypoints, inputs.waypoint_on)


class PathFoveas(Conditioner):
    """The glimpses at key waypoints are told of which waypoint they are."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.keys = config.key_waypoints
        self.embed = mlp(WAYPOINT_FEATURES, config.width, config.width)
        _zero(self.embed)

    def glimpse_features(self, inputs: Inputs) -> Tensor:
        """Zero for the first two glimpses, the whole image and the tool."""
        features = self.embed(waypoint_features(inputs)[:, : self.keys])
        return nn.functional.pad(features * inputs.waypoint_on[:, : self.keys, None], (0, 0, 2, 0))


def waypoint_features(inputs: Inputs) -> Tensor:
    """(B, P, 8) of a batch."""
    return torch.cat([inputs.waypoint_features, inputs.rays], -1)


def _zero(layers: nn.Sequential) -> None:
    for parameter in layers[-1].parameters():
        nn.init.zeros_(parameter)


CONDITIONERS: dict[str, type[Conditioner]] = {"tokens": PathTokens, "foveas": PathFoveas}
