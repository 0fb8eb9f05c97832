"""Ways for a policy to see a path. Each is a small module that adds to the actor's context, and adds nothing at first.

Every conditioner's last layer starts at zero, so a checkpoint that was trained without it loads and behaves the same,
but for the share of attention that silent tokens take.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy import conditioning
from hamster.policy.conditioning import zero_init
from hamster.policy.flow.config import PATCH_PX, FlowConfig
from hamster.policy.flow.inputs import Inputs
from hamster.policy.flow.patches import patches
from hamster.policy.layers import Tokens, mlp

WAYPOINT_FEATURES = 5 + 3  # lift.LiftedPath.features and the ray


class Conditioner(nn.Module):
    """What a conditioner may add; the defaults add nothing. `overlay` is one of these: it is drawn on the images."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()

    def tokens(self, inputs: Inputs) -> Tokens | None:
        """Tokens of its own."""
        return None

    def glimpse_features(self, inputs: Inputs) -> Tensor | None:
        """(B, G, T or 1, width), added to the tokens of each glimpse."""
        return None

    def image_features(self, inputs: Inputs) -> Tensor | None:
        """(B, C, T, width), added to the tokens of each camera's whole image."""
        return None


class PathTokens(Conditioner):
    """The waypoints as tokens, at their places in 3D."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.embed = _embedding(WAYPOINT_FEATURES, config.width)

    def tokens(self, inputs: Inputs) -> Tokens:
        """One per waypoint."""
        return Tokens(self.embed(waypoint_features(inputs)), inputs.waypoints, inputs.waypoint_on)


class PathFoveas(Conditioner):
    """The glimpses at key waypoints are told of which waypoint they are."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.keys = config.key_waypoints
        self.embed = _embedding(WAYPOINT_FEATURES, config.width)

    def glimpse_features(self, inputs: Inputs) -> Tensor:
        """Zero for the first two glimpses, the whole image and the tool."""
        features = self.embed(waypoint_features(inputs)[:, : self.keys])
        features = features * inputs.waypoint_on[:, : self.keys, None]
        return nn.functional.pad(features, (0, 0, 2, 0))[:, :, None]


class PathChannels(Conditioner):
    """Each patch of an image is told where the path runs through it. The backbone's own input stays as it is."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.embed = zero_init(nn.Linear(PATCH_PX**2 * conditioning.CHANNELS, config.width))

    def glimpse_features(self, inputs: Inputs) -> Tensor:
        """Of all glimpses."""
        return torch.as_tensor(self.embed(patches(inputs.channels).flatten(-2)))

    def image_features(self, inputs: Inputs) -> Tensor:
        """Of all images."""
        return torch.as_tensor(self.embed(patches(inputs.image_channels).flatten(-2)))


class PathCloud(Conditioner):
    """Many points of the path as tokens among those of the surfaces."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.embed = _embedding(conditioning.FEATURES, config.width)

    def tokens(self, inputs: Inputs) -> Tokens:
        """One per point."""
        return Tokens(self.embed(inputs.cloud_features), inputs.cloud, inputs.cloud_on)


def waypoint_features(inputs: Inputs) -> Tensor:
    """(B, P, 8) of a batch."""
    return torch.cat([inputs.waypoint_features, inputs.rays], -1)


def _embedding(features: int, width: int) -> nn.Sequential:
    layers = mlp(features, width, width)
    zero_init(layers[-1])
    return layers


CONDITIONERS: dict[str, type[Conditioner]] = {
    "tokens": PathTokens,
    "foveas": PathFoveas,
    "channels": PathChannels,
    "cloud": PathCloud,
    "overlay": Conditioner,
}
