"""Attention blocks with rotary 3D positions. LayerNorm only: batch statistics hurt 3D policies (R3D, 2026)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.rotary import codes, rotate

Code = tuple[Tensor, Tensor]
OFF = -1e4  # logit of a token that is not there


def mlp(inside: int, hidden: int, outside: int) -> nn.Sequential:
    """Two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(inside, hidden), nn.GELU(), nn.Linear(hidden, outside))


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

    def forward(self, x: Tensor, code: Code, keys_values: tuple[Tensor, Tensor], on: Tensor) -> Tensor:
        """Attends from (B, N, width) to the keys that are on (B, M)."""
        key, value = keys_values
        query = rotate(self.split(self.query(x)), code) * self.head_dim**-0.5
        # Written out: with few tokens and bfloat16, torch's fused attention is the slower one on a CPU, by half.
        logits = query @ key.transpose(-1, -2) + torch.where(on, 0.0, OFF)[:, None, None].to(query.dtype)
        mixed = logits.softmax(-1) @ value
        return torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))


class EncoderBlock(nn.Module):
    """Pre-norm attention of some tokens to all."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, 2 * width, width)

    def forward(self, x: Tensor, code: Code, on: Tensor, first: int | None = None) -> Tensor:
        """(B, N, width) -> the same, or only the `first` tokens changed; those not on (B, N) are not looked at."""
        normed = self.norm1(x)
        keys_values = self.attention.keys_values(normed, code)
        mine, code = x[:, :first], (code[0][:, :first], code[1][:, :first])
        mine = mine + self.attention(normed[:, :first], code, keys_values, on)
        mine = mine + self.mlp(self.norm2(mine))
        return mine if first is None else torch.cat([mine, x[:, first:]], 1)


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


__all__ = ["Attention", "Code", "DecoderBlock", "EncoderBlock", "codes", "mlp"]
