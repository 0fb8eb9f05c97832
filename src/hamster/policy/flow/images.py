"""Visual tokens of each camera's whole image, one for every 8 x 8 pixels, on the nearest surface in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.flow.backbone import backbone, normalised
from hamster.policy.flow.config import PATCH_PX, FlowConfig
from hamster.policy.flow.inputs import Inputs
from hamster.policy.flow.patches import patches

PLACE_UNIT_M, RELIEF_UNIT_M = 0.3, 0.05


class ImageTokens(nn.Module):
    """Images (B, C, I, I) -> tokens (B, C, T), T = (I / 8)²."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.backbone, width = backbone(config.backbone, config.width)
        self.backbone.requires_grad_(not config.frozen_backbone)
        self.project = nn.Linear(width, config.width)
        self.relief = nn.Linear(2 * PATCH_PX**2, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.place = nn.Linear(3, config.width)
        self.camera = nn.Parameter(torch.randn(len(config.cameras), config.width) * 0.02)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, C, T, width), positions (B, C, T, 3), on (B, C, T)."""
        colours = normalised(inputs.image_rgb.flatten(0, 1)).permute(0, 3, 1, 2)  # channels-last in memory
        maps = self.backbone(colours).flatten(2).transpose(1, 2).unflatten(0, inputs.image_rgb.shape[:2])
        features = self.norm(self.project(maps) + self.relief(relief(inputs.image_depth_m)))
        features = features + self.place(inputs.image_points / PLACE_UNIT_M) + self.camera[:, None]
        return features, inputs.image_points, inputs.image_on


def relief(depth_m: Tensor) -> Tensor:
    """(..., I, I) -> (..., T, 128): how far each pixel of a patch lies behind its nearest, and whether it is known."""
    depth = patches(depth_m[..., None])[..., 0]
    known = depth > 0
    front = torch.where(known, depth, torch.inf).amin(-1, keepdim=True)
    behind = ((depth - front) / RELIEF_UNIT_M).clamp(0, 4)
    return torch.cat([torch.where(known, behind, 0), known.to(depth.dtype)], -1)
