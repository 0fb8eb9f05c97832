"""The network of one look: rendered views to tokens, tokens to heat maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamster.policy.conditioning import zero_init
from hamster.policy.layers import attend, exact, mlp
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.heatmap import ConvexUpsampling


@dataclass(frozen=True)
class Told:
    """What a look is given, of a batch.

    Attributes:
        picture: (B, V, S, S, CHANNELS).
        layers: name to (B, V, S, S, C), drawn over the picture by who knows more.
        body: (B, BODY) what the robot feels.
        before: (B, width) summary of the look before, zero in the first.
        waypoints: (B, P, WAYPOINT) and whether they are there (B, P); P may be 0.
        words: (B, words, word_width).
    """

    picture: Tensor
    layers: dict[str, Tensor]
    body: Tensor
    before: Tensor
    waypoints: Tensor
    waypoint_on: Tensor
    words: Tensor


@dataclass(frozen=True)
class Seen:
    """What a look yields.

    Attributes:
        heat: (B, V, S, S) logits, float32.
        features: (B, V, head_width, h, w) of the tokens.
        summary: (B, width) what it is all about.
    """

    heat: Tensor
    features: Tensor
    summary: Tensor


@dataclass(frozen=True)
class Channels:
    """Sizes of what a look is given."""

    picture: int
    layers: dict[str, int]
    body: int
    waypoint: int


class Attention(nn.Module):
    """Multi-head attention from some tokens to a context."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor, on: Tensor | None = None) -> Tensor:
        """(B, N, width) and (B, M, width), of which some are on (B, M) -> (B, N, width)."""
        key, value = (self._split(part) for part in self.key_value(context).chunk(2, -1))
        mixed = attend(self._split(self.query(x)), key, value, on)
        return torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads), mlp(width, 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same."""
        normed = self.norm1(x)
        x = x + self.attention(normed, normed)
        return x + torch.as_tensor(self.mlp(self.norm2(x)))


class Waypoints(nn.Module):
    """Tells all tokens of the path's waypoints, and nothing at first: its last layer starts at zero."""

    def __init__(self, features: int, width: int, heads: int) -> None:
        super().__init__()
        self.embed, self.norm = mlp(features, width, width), nn.LayerNorm(width)
        self.none = nn.Parameter(torch.randn(width) * 0.02)  # to be looked at where there is no path
        self.attention = Attention(width, heads)
        zero_init(self.attention.out)

    def forward(self, x: Tensor, waypoints: Tensor, on: Tensor) -> Tensor:
        """(B, N, width), waypoints (B, P, features), on (B, P) -> (B, N, width)."""
        embedded = self.embed(waypoints)
        context = torch.cat([embedded, self.none.to(embedded.dtype).expand(len(x), 1, -1)], 1)
        return x + torch.as_tensor(self.attention(self.norm(x), context, nn.functional.pad(on, (0, 1), value=True)))


class Stem(nn.Module):
    """Patches to tokens, in float32, for the positions in the picture are millimetres.

    Layers over the picture have weights of their own that start at zero, so a checkpoint that was trained without
    them loads and behaves the same.
    """

    def __init__(self, config: ViewsConfig, channels: Channels) -> None:
        super().__init__()
        strides, width = config.stem, config.stem_width
        self.first = nn.Conv2d(channels.picture, width, strides[0], strides[0])
        layers = {k: nn.Conv2d(n, width, strides[0], strides[0], bias=False) for k, n in channels.layers.items()}
        self.layers = nn.ModuleDict({name: zero_init(layer) for name, layer in layers.items()})
        self.further = nn.ModuleList(nn.Conv2d(width, width, stride, stride) for stride in strides[1:])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in strides)
        self.out = nn.Linear(width, config.width)

    def forward(self, picture: Tensor, layers: dict[str, Tensor]) -> Tensor:
        """Pictures (B, V, S, S, C) -> tokens (B, V, h * w, width), float32."""
        with torch.autocast(picture.device.type, enabled=False):
            x = self.first(_channels_first(picture))
            for name, convolution in self.layers.items():
                x = x + convolution(_channels_first(layers[name]))
            x = self._normed(x, 0)
            for i, convolution in enumerate(self.further, 1):
                x = self._normed(convolution(x), i)
            x = self.out(x.permute(0, 2, 3, 1).flatten(1, 2))
            return torch.as_tensor(x.view(*picture.shape[:2], *x.shape[1:]))

    def _normed(self, x: Tensor, i: int) -> Tensor:
        return nn.functional.gelu(self.norms[i](x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Look(nn.Module):
    """A transformer over the patches of all views: its first half within each, its second half across all."""

    def __init__(self, config: ViewsConfig, channels: Channels) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.side = config.view_px // config.patch_px
        self.stem = Stem(config, channels)
        self.place = nn.Parameter(torch.randn(len(config.views), self.side**2, width) * 0.02)
        self.body, self.before = mlp(channels.body, width, width), nn.Linear(width, width)
        self.waypoints = Waypoints(channels.waypoint, width, config.heads) if "tokens" in config.conditioners else None
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        if config.words:
            self.words = nn.Linear(config.word_width, width)
            self.word_place = nn.Parameter(torch.randn(config.words, width) * 0.02)
        self.within = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers // 2))
        self.across = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers - config.layers // 2))
        self.norm = nn.LayerNorm(width)
        self.neck = nn.Linear(width, config.head_width)
        self.heat = ConvexUpsampling(config.head_width, config.patch_px)

    def forward(self, told: Told) -> Seen:
        """One look."""
        batch, views = told.picture.shape[:2]
        felt = self.body(told.body) + self.before(told.before)
        x = (self.stem(told.picture, told.layers) + self.place + felt[:, None, None]).flatten(1, 2)
        x = torch.cat([x, (self.summary + felt)[:, None]], 1)
        if self.waypoints is not None:
            x = self.waypoints(x, told.waypoints, told.waypoint_on)
        x, summary = x[:, :-1], x[:, -1:]
        x = x.unflatten(1, (views, -1)).flatten(0, 1)
        for block in self.within:
            x = block(x)
        x = x.unflatten(0, (batch, views)).flatten(1, 2)
        count = x.shape[1]
        x = torch.cat([x, summary], 1)
        if self.config.words:
            x = torch.cat([x, self.words(told.words) + self.word_place], 1)
        for block in self.across:
            x = block(x)
        x = self.norm(x[:, : count + 1])
        maps = exact(self.neck, x[:, :count]).reshape(batch * views, self.side, self.side, -1).permute(0, 3, 1, 2)
        heat = exact(self.heat, maps).view(batch, views, *[self.config.view_px] * 2)  # a waypoint is read from here
        return Seen(heat, maps.view(batch, views, *maps.shape[1:]), x[:, count])


def _channels_first(pictures: Tensor) -> Tensor:
    return pictures.flatten(0, 1).permute(0, 3, 1, 2)  # channels-last in memory, as convolutions like it
