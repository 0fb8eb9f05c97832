"""Visual tokens: a small convolutional tower turns each glimpse into tokens that sit on surfaces in 3D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamster.policy.flow.backbone import tower
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.inputs import Inputs
from hamster.policy.flow.patches import surface_points

CHANNELS = 10  # rgb, position in the glimpse, normal, depth is known
FOVEA_UNIT_M, OVERVIEW_UNIT_M = 0.05, 0.3


class Eyes(nn.Module):
    """Glimpses (B, G, S, S) -> features (B, G * T, width) and positions (B, G * T, 3), T = (S / 8)²."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.tower = tower(CHANNELS, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.place = nn.Linear(3, config.width)
        self.kind = nn.Parameter(torch.randn(3, config.width) * 0.02)  # overview, tool, waypoint

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, G, T, width), positions (B, G, T, 3), on (B, G, T)."""
        image, unit = channels(inputs)
        batch, glimpses = image.shape[:2]
        maps = self.tower(image.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        features = maps.flatten(2).transpose(1, 2).reshape(batch, glimpses, -1, maps.shape[1])
        positions, known = surface_points(inputs.points, inputs.depth_m)
        local = (positions - inputs.centres[:, :, None]) / unit[None, :, None, None]
        kinds = self.kind[torch.arange(glimpses, device=image.device).clamp(max=2)]
        features = self.norm(features) + self.place(local) + kinds[:, None]
        return features, positions, known & inputs.glimpse_on[:, :, None]


def channels(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """The tower's input (B, G, 10, S, S), and the metres (G,) that are one unit in each glimpse."""
    points, depth = inputs.points, inputs.depth_m
    unit = torch.full((points.shape[1],), FOVEA_UNIT_M, device=points.device)
    unit[0] = OVERVIEW_UNIT_M
    known = (depth > 0)[..., None]
    local = (points - inputs.centres[:, :, None, None]) / unit[None, :, None, None, None]
    parts = [inputs.rgb / 255.0 - 0.5, local.clamp(-4, 4) * known, normals(points) * known, known]
    return torch.cat([p.float() for p in parts], -1).permute(0, 1, 4, 2, 3), unit


def normals(points: Tensor) -> Tensor:
    """Unit normals (..., S, S, 3) of an organised point map, from differences of neighbours."""
    across = torch.diff(points, dim=-2, append=2 * points[..., :, -1:, :] - points[..., :, -2:-1, :])
    down = torch.diff(points, dim=-3, append=2 * points[..., -1:, :, :] - points[..., -2:-1, :, :])
    return nn.functional.normalize(torch.linalg.cross(down, across), dim=-1)
