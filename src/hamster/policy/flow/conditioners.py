"""How conditioners enter the flow network: as tokens of their own, or added to the features of visual tokens.

Every module's last layer starts at zero, so a checkpoint that was trained without a conditioner loads with it and
behaves the same, but for the share of attention that tokens without content take.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.conditioning import CONDITIONERS, ChannelConditioner, PointConditioner
from hamster.policy.flow.config import PATCH_PX, FlowConfig
from hamster.policy.flow.inputs import FlowInputs, patches
from hamster.policy.layers import Tokens, mlp, zero_init
from hamster.policy.path_prompt import POINT_FEATURES


class FlowConditioner(nn.Module):
    """What a conditioner may add to the context; by default nothing, as for one that draws on the images."""

    def tokens(self, inputs: FlowInputs) -> Tokens | None:
        """Return tokens of its own."""
        return None

    def crop_features(self, inputs: FlowInputs) -> Tensor | None:
        """Return (B, G, T or 1, width) to be added to the tokens of each crop."""
        return None

    def image_features(self, inputs: FlowInputs) -> Tensor | None:
        """Return (B, C, T, width) to be added to the tokens of each camera's whole image."""
        return None


class PointTokens(FlowConditioner):
    """Points of the path as tokens at their positions in 3D."""

    def __init__(self, name: str, n_features: int, width: int) -> None:
        super().__init__()
        self.name = name
        self.embed = _point_embedding(n_features, width)

    def tokens(self, inputs: FlowInputs) -> Tokens:
        """Return one token per point."""
        points = inputs.points[self.name]
        return Tokens(self.embed(points.features), points.positions, points.valid)


class FoveaLabels(FlowConditioner):
    """Features of the key waypoint added to the tokens of its crop."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = _point_embedding(POINT_FEATURES, width)

    def crop_features(self, inputs: FlowInputs) -> Tensor:
        """Return zeros for the first two crops, the whole image and the tool."""
        keys = inputs.points["foveas"]
        features = self.embed(keys.features) * keys.valid[..., None]
        return nn.functional.pad(features, (0, 0, 2, 0))[:, :, None]


class LatentTokens(FlowConditioner):
    """A planner's last states: words as tokens where they point, patches added to the tokens that lie in them.

    Args:
        state_width: D, of the planner's states.
        width: of tokens.
    """

    def __init__(self, state_width: int, width: int) -> None:
        super().__init__()
        self.words, self.peaks = (_point_embedding(state_width + 1, width) for _ in range(2))
        self.patches = zero_init(nn.Linear(state_width, width))

    def tokens(self, inputs: FlowInputs) -> Tokens:
        """Return one token per word."""
        assert inputs.latent is not None
        words = inputs.latent.words
        return Tokens(self.words(words.features), words.positions, words.valid)

    def crop_features(self, inputs: FlowInputs) -> Tensor:
        """Return the states of patches, and for the foveas also that of the word that points there."""
        assert inputs.latent is not None
        embedded, index = self.patches(inputs.latent.patches), inputs.latent.crop_patch
        at_tokens = embedded.gather(1, index.flatten(1)[..., None].expand(-1, -1, embedded.shape[-1]))
        peaks = nn.functional.pad(self.peaks(inputs.latent.peaks.features), (0, 0, 2, 0))
        return torch.as_tensor(at_tokens.unflatten(1, index.shape[1:]) + peaks[:, :, None])


class PatchChannels(FlowConditioner):
    """The path's channels in each patch added to its token. The backbone's own input stays as it is."""

    def __init__(self, name: str, n_channels: int, width: int) -> None:
        super().__init__()
        self.name = name
        self.embed = zero_init(nn.Linear(PATCH_PX**2 * n_channels, width))

    def crop_features(self, inputs: FlowInputs) -> Tensor:
        """Return those of all crops."""
        assert inputs.crops is not None
        return torch.as_tensor(self.embed(patches(inputs.crops.channels[self.name]).flatten(-2)))

    def image_features(self, inputs: FlowInputs) -> Tensor:
        """Return those of all images."""
        assert inputs.images is not None
        return torch.as_tensor(self.embed(patches(inputs.images.channels[self.name]).flatten(-2)))


def build_conditioner(name: str, config: FlowConfig) -> FlowConditioner:
    """Return the module through which a conditioner of that name enters."""
    if name == "foveas":
        return FoveaLabels(config.width)
    if name == "latent":
        return LatentTokens(config.planner_sizes["hidden_size"], config.width)
    conditioner = CONDITIONERS.get(name)
    if isinstance(conditioner, PointConditioner):
        return PointTokens(name, conditioner.n_features, config.width)
    if isinstance(conditioner, ChannelConditioner):
        return PatchChannels(name, conditioner.n_channels, config.width)
    return FlowConditioner()


def _point_embedding(n_features: int, width: int) -> nn.Sequential:
    layers = mlp(n_features, width, width)
    zero_init(layers[-1])
    return layers
