"""The bundled planner's module for the height of waypoints: where a path runs in 3D, also in the air or out of sight.

From one image of an unknown camera depth is ambiguous: what is twice as far away and seen with twice the focal length
looks almost the same. The height above the table is not: it follows from what the path does (grasp, carry over, press)
and from the sizes of things, and it is the same from every camera. A calibrated camera turns it into depth: the
waypoint is where its line of sight meets the horizontal plane at that height. Of ten parametrisations, fitted to the
same states of a frozen planner, height was best by a factor of two: see docs/log.md.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig

HEIGHT_UNIT_M = 0.1  # of the module's output, so that typical values are about 1


class WaypointHeight(nn.Module):
    """A module that estimates the height of waypoints from the decoder's states at their bin tokens."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.hidden_size + config.tower_channels[-1], config.height_size)
        self.output = nn.Linear(config.height_size, 1)

    def forward(self, states: Tensor, features: Tensor) -> Tensor:
        """Return the heights (N,) above the table in metres.

        Args:
            states: (N, D) normalised states after the last layer, at bin tokens.
            features: (N, C) features of the patches that the waypoints lie in.
        """
        x = torch.cat([states, features.to(states.dtype)], -1)
        height_m: Tensor = self.output(F.relu(self.hidden(x))).float()[..., 0] * HEIGHT_UNIT_M
        return height_m


def is_bin(ids: Tensor) -> Tensor:
    """Return (...) True for bin tokens, the last token of each waypoint's place."""
    return (ids >= tokens.OFFSETS) & (ids < tokens.BYTES)


def at_waypoints(ids: Tensor, states: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `WaypointHeight` reads of W waypoints: states (W, D) and patch features (W, C), row by row.

    Args:
        ids: (B, K, T) instructions with answers, in which a bin token follows its patch token.
        states: (B, K, T, D) normalised states after the last layer.
        features: (B, 256, C) patch features.
    """
    image, row, column = is_bin(ids).nonzero(as_tuple=True)
    patch = (ids[image, row, column - 1] - tokens.PATCHES).clamp(0, tokens.GRID**2 - 1)
    return states[image, row, column], features[image, patch]
