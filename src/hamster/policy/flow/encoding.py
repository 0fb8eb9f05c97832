"""From what is seen, felt and told to a context that an action can look at. Done once, however many steps follow."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from hamster.policy.flow.thinning import chosen, replaced, sparsest
from hamster.policy.layers import Code, EncoderBlock, Tokens, codes


def brief(blocks: Iterable[EncoderBlock], x: Tensor, code: Code, on: Tensor, told: int) -> Tensor:
    """The tokens from `told` on look at the ones before: what has been seen, at what is felt and told."""
    before, after = _part(code, slice(None, told)), _part(code, slice(told, None))
    for block in blocks:
        x = torch.cat([x[:, :told], block(x[:, told:], after, x[:, :told], before, on[:, :told])], 1)
    return x


def mix(blocks: Iterable[EncoderBlock], x: Tensor, code: Code, on: Tensor, told: int, visual_layers: int) -> Tensor:
    """Self-attention; from `visual_layers` on only the first `told` tokens change, for the many others are dear."""
    for layer, block in enumerate(blocks):
        changing = None if layer < visual_layers else told
        mine = block(x[:, :changing], _part(code, slice(changing)), x, code, on)
        x = mine if changing is None else torch.cat([mine, x[:, changing:]], 1)
    return x


def thinned_mix(
    blocks: Iterable[EncoderBlock], x: Tensor, context: Tokens, told: int, visual_layers: int, first: int, keep: float
) -> Tensor:
    """`mix` among the tokens before `first` and a part of the others; those left out stay as they were."""
    count, head_dim = round(keep * (x.shape[1] - first)), _head_dim(blocks)
    if count == x.shape[1] - first:
        return mix(blocks, x, coded(context.positions, head_dim), context.on, told, visual_layers)
    index = sparsest(x[:, first:], context.on[:, first:], count) + first
    index = torch.cat([torch.arange(first, device=index.device).expand(len(index), -1), index], 1)
    code = coded(chosen(context.positions, index), head_dim)
    mixed = mix(blocks, chosen(x, index), code, chosen(context.on, index), told, visual_layers)
    return replaced(x, index, mixed)


def coded(positions: Tensor, head_dim: int) -> Code:
    """Rotary codes of positions (B, N, 3); geometry stays in float32."""
    with torch.autocast(positions.device.type, enabled=False):
        return codes(positions, head_dim)


def _head_dim(blocks: Iterable[EncoderBlock]) -> int:
    return next(iter(blocks)).attention.head_dim


def _part(code: Code, part: slice) -> Code:
    return code[0][:, part], code[1][:, part]
