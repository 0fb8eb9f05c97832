"""Fewer tokens, chosen where the picture is least like itself."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 8
WITNESSES = 512


@torch.no_grad()
def sparsest(features: Tensor, on: Tensor, count: int) -> Tensor:
    """Indices (B, count), ascending, of the tokens (B, N, width) that lie farthest from others in feature space.

    After 3D FlowMatch Actor's density-based sampling (mean distance to the 8 nearest neighbours), but neighbours are
    looked for among at most `WITNESSES` evenly spread tokens, which makes it linear in N. Tokens that are not on (B, N)
    come last.
    """
    features = features.float()
    every = -(-features.shape[1] // WITNESSES)
    witnesses, seen = features[:, ::every], on[:, ::every]
    distance = torch.cdist(features, witnesses).masked_fill(~seen[:, None], torch.inf)
    own = torch.arange(0, features.shape[1], every, device=features.device)
    distance[:, own, torch.arange(len(own), device=own.device)] = torch.inf
    nearest = distance.topk(min(NEIGHBOURS, len(own)), largest=False).values
    lonely = nearest.nan_to_num(posinf=1e4).mean(-1).masked_fill(~on, -1)
    return lonely.topk(count).indices.sort(-1).values


def chosen(x: Tensor, index: Tensor) -> Tensor:
    """(B, N, ...) at indices (B, M) -> (B, M, ...)."""
    return x.gather(1, index.view(*index.shape, *[1] * (x.dim() - 2)).expand(*index.shape, *x.shape[2:]))


def replaced(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """(B, N, width) with those at indices (B, M) replaced by values (B, M, width)."""
    return x.scatter(1, index[..., None].expand_as(values), values.to(x.dtype))
