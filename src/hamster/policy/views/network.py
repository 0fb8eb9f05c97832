"""The network of one stage: rendered views to tokens, tokens to heat maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamster.policy.layers import Attention, in_float32, mlp, zero_init
from hamster.policy.policy_input import PointBatch
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.heatmap import ConvexUpsampling


@dataclass(frozen=True)
class StageInput:
    """What a stage is given, of a batch.

    Attributes:
        picture: (B, V, S, S, C) rendered points.
        layers: by name (B, V, S, S, C), rendered over the picture.
        robot: (B, C) the robot's state, and where the cube is.
        previous: (B, width) summary of the stage before, zero in the first.
        waypoints: to attend to; None without the conditioner `tokens`.
        words: (B, max_instruction_tokens, word_width).
    """

    picture: Tensor
    layers: dict[str, Tensor]
    robot: Tensor
    previous: Tensor
    waypoints: PointBatch | None
    words: Tensor


@dataclass(frozen=True)
class StageOutput:
    """What a stage returns.

    Attributes:
        heat: (B, V, S, S) logits, float32.
        features: (B, V, head_width, h, w) of the tokens.
        summary: (B, width) of the whole scene.
    """

    heat: Tensor
    features: Tensor
    summary: Tensor


@dataclass(frozen=True)
class InputSizes:
    """Channels of the parts of a `StageInput`."""

    picture: int
    layers: dict[str, int]
    robot: int
    waypoint: int


class SelfAttentionBlock(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads), mlp(width, 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (B, N, width)."""
        normed = self.norm1(x)
        x = x + self.attention(normed, self.attention.keys_values(normed))
        return x + torch.as_tensor(self.mlp(self.norm2(x)))


class WaypointAttention(nn.Module):
    """Lets all tokens attend to the path's waypoints; its last layer is zero-initialised."""

    def __init__(self, n_features: int, width: int, heads: int) -> None:
        super().__init__()
        self.embed, self.norm = mlp(n_features, width, width), nn.LayerNorm(width)
        self.none = nn.Parameter(torch.randn(width) * 0.02)  # attended to where there is no path
        self.attention = Attention(width, heads)
        zero_init(self.attention.out)

    def forward(self, x: Tensor, waypoints: PointBatch) -> Tensor:
        """Transform tokens (B, N, width)."""
        embedded = self.embed(waypoints.features)
        context = torch.cat([embedded, self.none.to(embedded.dtype).expand(len(x), 1, -1)], 1)
        valid = nn.functional.pad(waypoints.valid, (0, 1), value=True)
        return x + torch.as_tensor(self.attention(self.norm(x), self.attention.keys_values(context), valid))


class Stem(nn.Module):
    """Patches to tokens, in float32, for positions in the picture are millimetres.

    Layers over the picture have weights of their own that start at zero, so a checkpoint that was trained without them
    loads and behaves the same.
    """

    def __init__(self, config: ViewsConfig, sizes: InputSizes) -> None:
        super().__init__()
        strides, width = config.stem, config.stem_width
        self.first = nn.Conv2d(sizes.picture, width, strides[0], strides[0])
        layers = {k: nn.Conv2d(n, width, strides[0], strides[0], bias=False) for k, n in sizes.layers.items()}
        self.layers = nn.ModuleDict({name: zero_init(layer) for name, layer in layers.items()})
        self.further = nn.ModuleList(nn.Conv2d(width, width, stride, stride) for stride in strides[1:])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in strides)
        self.out = nn.Linear(width, config.width)

    def forward(self, picture: Tensor, layers: dict[str, Tensor]) -> Tensor:
        """Return tokens (B, V, h * w, width), float32, of a picture (B, V, S, S, C) and its layers."""
        with torch.autocast(picture.device.type, enabled=False):
            x = self.first(_channels_first(picture))
            for name, convolution in self.layers.items():
                x = x + convolution(_channels_first(layers[name]))
            x = _norm_gelu(self.norms[0], x)
            for convolution, norm in zip(self.further, self.norms[1:], strict=True):
                x = _norm_gelu(norm, convolution(x))
            x = self.out(x.permute(0, 2, 3, 1).flatten(1, 2))
            return torch.as_tensor(x.view(*picture.shape[:2], *x.shape[1:]))


class StageNetwork(nn.Module):
    """A transformer over the patches of all views: its first half within each, its second half across all."""

    def __init__(self, config: ViewsConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.config, width, n_views = config, config.width, len(config.virtual_views)
        self.side = config.view_px // config.patch_px
        self.stem = Stem(config, sizes)
        self.patch_position = nn.Parameter(torch.randn(n_views, self.side**2, width) * 0.02)
        self.robot, self.previous = mlp(sizes.robot, width, width), nn.Linear(width, width)
        has_tokens = "tokens" in config.conditioners
        self.waypoints = WaypointAttention(sizes.waypoint, width, config.heads) if has_tokens else None
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        if config.max_instruction_tokens:
            self.word_embedding = nn.Linear(config.word_width, width)
            self.word_order = nn.Parameter(torch.randn(config.max_instruction_tokens, width) * 0.02)
        n_within = config.layers // 2
        self.within_views = nn.ModuleList(SelfAttentionBlock(width, config.heads) for _ in range(n_within))
        self.across_views = nn.ModuleList(
            SelfAttentionBlock(width, config.heads) for _ in range(config.layers - n_within)
        )
        self.norm = nn.LayerNorm(width)
        self.neck = nn.Linear(width, config.head_width)
        self.heat = ConvexUpsampling(config.head_width, config.patch_px)

    def forward(self, inputs: StageInput) -> StageOutput:
        """Return heat maps, features and a summary."""
        batch, n_views = inputs.picture.shape[:2]
        state = self.robot(inputs.robot) + self.previous(inputs.previous)
        patches = self.stem(inputs.picture, inputs.layers) + self.patch_position + state[:, None, None]
        x = torch.cat([patches.flatten(1, 2), (self.summary + state)[:, None]], 1)
        if self.waypoints is not None:
            assert inputs.waypoints is not None
            x = self.waypoints(x, inputs.waypoints)
        x, summary = x[:, :-1], x[:, -1:]
        x = x.reshape(batch * n_views, -1, x.shape[-1])
        for block in self.within_views:
            x = block(x)
        x = x.reshape(batch, -1, x.shape[-1])
        n_patches = x.shape[1]
        x = torch.cat([x, summary], 1)
        if self.config.max_instruction_tokens:
            x = torch.cat([x, self.word_embedding(inputs.words) + self.word_order], 1)
        for block in self.across_views:
            x = block(x)
        x = self.norm(x[:, : n_patches + 1])
        maps = in_float32(self.neck, x[:, :n_patches]).reshape(batch * n_views, self.side, self.side, -1)
        maps = maps.permute(0, 3, 1, 2)
        heat = in_float32(self.heat, maps).view(batch, n_views, *[self.config.view_px] * 2)
        return StageOutput(heat, maps.view(batch, n_views, *maps.shape[1:]), x[:, n_patches])


def _norm_gelu(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalise the channels of (N, C, H, W), then GELU; both on channels-last memory, where GELU is fastest."""
    return nn.functional.gelu(norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def _channels_first(pictures: Tensor) -> Tensor:
    return pictures.flatten(0, 1).permute(0, 3, 1, 2)  # channels-last in memory, as convolutions like it
