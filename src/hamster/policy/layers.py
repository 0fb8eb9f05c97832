"""Building blocks that the policies' networks share: attention with rotary 3D positions, 6D rotations.

LayerNorm only: batch statistics hurt 3D policies (R3D, 2026).

Rotary positions: RoPE (Su et al. 2021) with three axes in every head. Each head devotes a third of its pairs of
channels to each axis, at frequencies from about 1 rad/m (the whole table) to 200 rad/m (a few millimetres), so logits
depend on differences of positions alone: translation invariance by construction. Splitting one long x|y|z encoding
into heads, as published actors do, breaks that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

MASKED_LOGIT = -1e4
LOWEST_RAD_M, HIGHEST_RAD_M = 1.0, 200.0

Module = TypeVar("Module", bound=nn.Module)


def mlp(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Return two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.GELU(), nn.Linear(n_hidden, n_out))


def zero_init(module: Module) -> Module:
    """Set all weights of a layer to zero, as ControlNet's zero convolutions: what enters through it adds nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer in float32, also where the network around it runs in bfloat16: for what becomes millimetres."""
    with torch.autocast(x.device.type, enabled=False):
        return torch.as_tensor(layer(x.float()))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; free of copies where x is channels-last."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class RotaryEmbedding(NamedTuple):
    """Cosines and sines of positions, each (B, N, head_dim / 2), float32."""

    cos: Tensor
    sin: Tensor

    def part(self, tokens: slice) -> RotaryEmbedding:
        """Return the embedding of some of the tokens."""
        return RotaryEmbedding(self.cos[:, tokens], self.sin[:, tokens])


def rope_3d(positions_m: Tensor, head_dim: int) -> RotaryEmbedding:
    """Return the rotary embedding of positions (..., 3), in float32 also under autocast.

    Args:
        positions_m: (..., 3) metres.
        head_dim: channels of an attention head, even.
    """
    with torch.autocast(positions_m.device.type, enabled=False):
        pairs = head_dim // 2
        per_axis = pairs // 3
        exponents = torch.linspace(0, 1, per_axis, device=positions_m.device)
        frequencies = LOWEST_RAD_M * (HIGHEST_RAD_M / LOWEST_RAD_M) ** exponents
        angles = (positions_m.float()[..., None] * frequencies).flatten(-2)
        angles = nn.functional.pad(angles, (0, pairs - 3 * per_axis))  # what is left over is not rotated
        return RotaryEmbedding(angles.cos(), angles.sin())


def apply_rotary(x: Tensor, rotary: RotaryEmbedding) -> Tensor:
    """Rotate the pairs of channels of (B, heads, N, head_dim) by an embedding of N positions."""
    cos, sin = (part[:, None].to(x.dtype) for part in rotary)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


@dataclass(frozen=True)
class Tokens:
    """A set of tokens per sample.

    Attributes:
        features: (B, N, width).
        positions: (B, N, 3) metres from the tool.
        valid: (B, N) False for tokens that are not to be attended to.
    """

    features: Tensor
    positions: Tensor
    valid: Tensor

    def __len__(self) -> int:
        return self.valid.shape[1]

    def __add__(self, other: Tokens) -> Tokens:
        pairs = (
            (self.features, other.features),
            (self.positions, other.positions),
            (self.valid, other.valid),
        )
        return Tokens(*(torch.cat(pair, 1) for pair in pairs))

    def part(self, tokens: slice) -> Tokens:
        """Return some of the tokens."""
        return Tokens(self.features[:, tokens], self.positions[:, tokens], self.valid[:, tokens])

    def with_features(self, features: Tensor) -> Tokens:
        """Return the tokens with other features."""
        return replace(self, features=features)


def attend(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return scaled dot-product attention (B, heads, N, D).

    Fused, but for bfloat16 on a CPU, where the fused one takes 1.5 times as long, and its backward pass four times.

    Args:
        query: (B, heads, N, D).
        key, value: (B, heads, M, D).
        valid: (B, M) False for keys that are masked; None: all are attended to.
    """
    mask = None if valid is None else torch.where(valid, 0.0, MASKED_LOGIT)[:, None, None].to(query.dtype)
    if query.is_cuda or query.dtype == torch.float32:
        return nn.functional.scaled_dot_product_attention(query, key, value, mask)
    logits = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
    return torch.as_tensor((logits if mask is None else logits + mask).softmax(-1) @ value)


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be computed once and used many times."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: Tensor, rotary: RotaryEmbedding | None = None) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, heads, M, head_dim) of a context (B, M, width)."""
        key, value = self.key_value(context).chunk(2, -1)
        return self._rotated(key, rotary), self._split(value)

    def forward(
        self,
        x: Tensor,
        keys_values: tuple[Tensor, Tensor],
        valid: Tensor | None = None,
        rotary: RotaryEmbedding | None = None,
    ) -> Tensor:
        """Attend from tokens to a context.

        Args:
            x: (B, N, width).
            keys_values: of the context's M tokens.
            valid: (B, M), see `attend`.
            rotary: of the positions of x, if the keys have any.

        Returns:
            (B, N, width).
        """
        mixed = attend(self._rotated(self.query(x), rotary), *keys_values, valid)
        return torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))

    def _rotated(self, x: Tensor, rotary: RotaryEmbedding | None) -> Tensor:
        return self._split(x) if rotary is None else apply_rotary(self._split(x), rotary)

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, heads, N, head_dim)."""
        return x.view(*x.shape[:-1], self.heads, self.head_dim).transpose(1, 2)


class EncoderBlock(nn.Module):
    """Pre-norm attention of some tokens to a context that they may be part of."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, 2 * width, width)

    def forward(
        self,
        x: Tensor,
        rotary: RotaryEmbedding,
        context: Tensor,
        context_rotary: RotaryEmbedding,
        valid: Tensor | None = None,
    ) -> Tensor:
        """Attend from tokens to a context.

        Args:
            x: (B, N, width).
            rotary: of their positions.
            context: (B, M, width), which may be or contain x.
            context_rotary: of its positions.
            valid: (B, M) False for tokens of the context that are masked.

        Returns:
            (B, N, width).
        """
        keys_values = self.attention.keys_values(self.norm1(context), context_rotary)
        x = x + self.attention(self.norm1(x), keys_values, valid, rotary)
        return x + torch.as_tensor(self.mlp(self.norm2(x)))


class DecoderBlock(nn.Module):
    """Cross-attention to a cached context, modulated by a signal (AdaLN-zero, Peebles & Xie 2023)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, 2 * width, width)
        self.modulation = zero_init(nn.Linear(width, 4 * width))

    def forward(
        self, x: Tensor, signal: Tensor, rotary: RotaryEmbedding, keys_values: tuple[Tensor, Tensor], valid: Tensor
    ) -> Tensor:
        """Attend from (B, N, width), modulated by a signal of the same shape, to a context; returns (B, N, width).

        Args:
            x, signal: (B, N, width).
            rotary: of the positions of x.
            keys_values: `attention.keys_values` of the context's M tokens.
            valid: (B, M).
        """
        scale1, shift1, scale2, shift2 = self.modulation(signal).chunk(4, -1)
        x = x + self.attention(self.norm1(x) * (1 + scale1) + shift1, keys_values, valid, rotary)
        return x + torch.as_tensor(self.mlp(self.norm2(x) * (1 + scale2) + shift2))


def six_from_matrix(rotation: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) as six numbers (..., 6): the x axis, then the y axis (Zhou et al., CVPR 2019)."""
    return torch.cat([rotation[..., 0], rotation[..., 1]], -1)


def matrix_from_six(six: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) of six numbers (..., 6), of any length and not quite orthogonal (Gram-Schmidt)."""
    x = nn.functional.normalize(six[..., :3], dim=-1)
    y = six[..., 3:] - (x * six[..., 3:]).sum(-1, keepdim=True) * x
    y = nn.functional.normalize(y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
