"""Fewer tokens for self-attention, sampled where features are least dense."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 8
ANCHORS = 512


@torch.no_grad()
def density_sample(features: Tensor, valid: Tensor, count: int) -> Tensor:
    """Return the indices (B, count), ascending, of the tokens that lie farthest from others in feature space.

    After the density-biased sampling of 3D FlowMatch Actor (mean distance to the 8 nearest neighbours), but neighbours
    are looked for among at most `ANCHORS` evenly spread tokens, which makes it linear in N.

    Args:
        features: (B, N, width).
        valid: (B, N); tokens that are not valid come last.
        count: of indices, at most N.
    """
    features = features.float()
    stride = -(-features.shape[1] // ANCHORS)
    anchors, anchor_valid = features[:, ::stride], valid[:, ::stride]
    distance = torch.cdist(features, anchors).masked_fill(~anchor_valid[:, None], torch.inf)
    anchor_index = torch.arange(0, features.shape[1], stride, device=features.device)
    distance[:, anchor_index, torch.arange(len(anchor_index), device=features.device)] = torch.inf  # to themselves
    nearest = distance.topk(min(NEIGHBOURS, len(anchor_index)), largest=False).values
    knn_distance = nearest.nan_to_num(posinf=1e4).mean(-1).masked_fill(~valid, -1)
    return knn_distance.topk(count).indices.sort(-1).values


def gather_tokens(x: Tensor, index: Tensor) -> Tensor:
    """Return the rows (B, M, ...) of (B, N, ...) at indices (B, M)."""
    return x.gather(1, index.view(*index.shape, *[1] * (x.dim() - 2)).expand(*index.shape, *x.shape[2:]))


def scatter_tokens(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """Return tokens with some rows replaced: the inverse of `gather_tokens`.

    Args:
        x: (B, N, width).
        index: (B, M) of the rows.
        values: (B, M, width).
    """
    return x.scatter(1, index[..., None].expand_as(values), values.to(x.dtype))
