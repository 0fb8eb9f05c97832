"""Attention blocks with rotary 3D positions. LayerNorm only: batch statistics hurt 3D policies (R3D, 2026)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamster.policy.rotary import codes, rotate

Code = tuple[Tensor, Tensor]
OFF = -1e4  # logit of a token that is not there


def mlp(inside: int, hidden: int, outside: int) -> nn.Sequential:
    """Two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(inside, hidden), nn.GELU(), nn.Linear(hidden, outside))


def exact(layer: nn.Module, x: Tensor) -> Tensor:
    """The layer in float32, also where the network around it runs in bfloat16: for what becomes millimetres."""
    with torch.autocast(x.device.type, enabled=False):
        return torch.as_tensor(layer(x.float()))


def attend(query: Tensor, key: Tensor, value: Tensor, on: Tensor | None = None) -> Tensor:
    """Attention of (B, heads, N, D) to the keys (B, heads, M, D) that are on (B, M).

    Fused, but for bfloat16 on a CPU, where the fused one takes 1.5 times as long, and its backward pass four times.
    """
    mask = None if on is None else torch.where(on, 0.0, OFF)[:, None, None].to(query.dtype)
    if query.is_cuda or query.dtype == torch.float32:
        return nn.functional.scaled_dot_product_attention(query, key, value, mask)
    logits = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
    return torch.as_tensor((logits if mask is None else logits + mask).softmax(-1) @ value)


@dataclass(frozen=True)
class Tokens:
    """Features (B, N, width), positions (B, N, 3) in metres from the tool, and on (B, N)."""

    features: Tensor
    positions: Tensor
    on: Tensor

    def __add__(self, other: Tokens) -> Tokens:
        pairs = ((self.features, other.features), (self.positions, other.positions), (self.on, other.on))
        return Tokens(*(torch.cat(pair, 1) for pair in pairs))


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be computed once and used many times."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, heads, N, head_dim)."""
        return x.view(*x.shape[:-1], self.heads, self.head_dim).transpose(1, 2)

    def keys_values(self, context: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """Turned keys and values of a context (B, M, width)."""
        key, value = self.key_value(context).chunk(2, -1)
        return rotate(self.split(key), code), self.split(value)

    def forward(self, x: Tensor, code: Code, keys_values: tuple[Tensor, Tensor], on: Tensor | None) -> Tensor:
        """Attends from (B, N, width) to the keys that are on (B, M)."""
        mixed = attend(rotate(self.split(self.query(x)), code), *keys_values, on)
        return torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))


class EncoderBlock(nn.Module):
    """Pre-norm attention of some tokens to a context that they may be part of."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, 2 * width, width)

    def forward(self, x: Tensor, code: Code, context: Tensor, context_code: Code, on: Tensor | None = None) -> Tensor:
        """(B, N, width) -> the same, having looked at those of the context (B, M, width) that are on (B, M)."""
        keys_values = self.attention.keys_values(self.norm1(context), context_code)
        x = x + self.attention(self.norm1(x), code, keys_values, on)
        return x + torch.as_tensor(self.mlp(self.norm2(x)))


class DecoderBlock(nn.Module):
    """Cross-attention to a cached context, modulated by a signal (AdaLN-zero, Peebles & Xie 2023)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, 2 * width, width)
        self.modulation = nn.Linear(width, 4 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def keys_values(self, context: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """What `forward` needs of a context (B, M, width)."""
        return self.attention.keys_values(context, code)

    def forward(self, x: Tensor, signal: Tensor, code: Code, keys_values: tuple[Tensor, Tensor], on: Tensor) -> Tensor:
        """(B, N, width) and a signal of the same shape -> (B, N, width)."""
        scale1, shift1, scale2, shift2 = self.modulation(signal).chunk(4, -1)
        x = x + self.attention(self.norm1(x) * (1 + scale1) + shift1, code, keys_values, on)
        return x + torch.as_tensor(self.mlp(self.norm2(x) * (1 + scale2) + shift2))


__all__ = ["Attention", "Code", "DecoderBlock", "EncoderBlock", "Tokens", "attend", "codes", "exact", "mlp"]
