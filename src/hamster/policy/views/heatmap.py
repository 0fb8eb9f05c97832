"""Heat maps: how tokens become one, its loss, and its agreement with a point."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.layers import mlp
from hamster.policy.views.cube import to_px, to_view_axes


class ConvexUpsampling(nn.Module):
    """Tokens of a view to a heat map at full resolution, after RAFT (arXiv 2003.12039), section 3.3.

    Each fine pixel is a convex combination of the 3 x 3 coarse values around its patch.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.heat, self.mixture = nn.Linear(width, 1), mlp(width, width, 9 * patch * patch)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (M, h * patch, w * patch) of token maps (M, width, h, w)."""
        features = nn.functional.gelu(self.conv(tokens)).permute(0, 2, 3, 1)
        count, h, w, _ = features.shape
        weights = self.mixture(features).view(count, h, w, 9, self.patch**2).softmax(-2)
        coarse = nn.functional.pad(self.heat(features)[..., 0][:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        around = coarse.unfold(1, 3, 1).unfold(2, 3, 1).reshape(count, h, w, 1, 9)
        fine = (around @ weights).view(count, h, w, self.patch, self.patch)
        return torch.as_tensor(fine.transpose(2, 3).reshape(count, h * self.patch, w * self.patch))


def cross_entropy(logits: Tensor, local: Tensor, views: tuple[str, ...], sigma_px: float) -> Tensor:
    """Return the cross-entropy (B,) of heat maps against Gaussians around the projections of points, mean over views.

    Args:
        logits: (B, V, S, S).
        local: (B, 3) in the cube's coordinates.
        views: names of the V views.
        sigma_px: standard deviation of the Gaussians.
    """
    size = logits.shape[-1]
    at = to_px(to_view_axes(local, views)[..., :2], size)  # (B, V, 2)
    middles = torch.arange(size, device=at.device) + 0.5
    column, row = (-0.5 * ((middles - at[..., None]) / sigma_px) ** 2).softmax(-1).unbind(2)  # (B, V, S)
    log_p = logits.flatten(2).log_softmax(-1).view_as(logits)
    return -(row[..., :, None] * column[..., None, :] * log_p).sum((2, 3)).mean(1)


def agreement(logits: Tensor, local: Tensor, views: tuple[str, ...], reach_px: float) -> Tensor:
    """Return the probability (B,) that heat maps give to a square around points, mean over views.

    Args:
        logits: (B, V, S, S).
        local: (B, 3) in the cube's coordinates.
        views: names of the V views.
        reach_px: half the side of the square.
    """
    size = logits.shape[-1]
    at = to_px(to_view_axes(local, views)[..., :2], size)
    middles = torch.arange(size, device=at.device) + 0.5
    near = ((middles - at[..., None]).abs() <= reach_px).float()  # (B, V, 2, S)
    p = logits.flatten(2).softmax(-1).view_as(logits)
    return (near[:, :, 1, :, None] * near[:, :, 0, None, :] * p).sum((2, 3)).mean(1)
