"""What a look sees of its cube: the points, and over them, in layers of their own, what the policy knows besides.

A layer is rendered apart, so that nothing hides what it shows: a path behind an object is still a path. The few points
of tool and path are drawn also where a zoomed cube leaves them out, on its border: in the right row if they lie aside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hamster.policy.conditioning import CHANNELS, FEATURES
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.cube import cell_to_local, seen
from hamster.policy.views.inputs import Inputs
from hamster.policy.views.renderer import render

FAR = 2.0  # a look is told positions up to so many halves of its cube away
PICTURE = 10  # rgb, position in the cube, depth, is there anything, where in the view


def layer_channels(config: ViewsConfig) -> dict[str, int]:
    """The layers, and how many channels each has."""
    conditioned = {"cloud": FEATURES + 3, "channels": CHANNELS}
    return {"body": 2} | {name: count for name, count in conditioned.items() if name in config.conditioners}


def picture(config: ViewsConfig, inputs: Inputs, centre: Tensor, half_m: float) -> Tensor:
    """(B, V, S, S, PICTURE) of cubes around centres (B, 3), metres from the tool."""
    local = (inputs.points - centre[:, None]) / half_m
    drawn, hit = _render(config, local, inputs.point_on, torch.cat([inputs.rgb / 255.0 - 0.5, local], -1))
    depth = torch.stack([seen(drawn[:, i, ..., 3:], (v,))[..., 0, 2] for i, v in enumerate(config.views)], 1)
    middles = cell_to_local(torch.arange(config.view_px, device=local.device), config.view_px)
    where = torch.stack(torch.meshgrid(middles, middles, indexing="ij"), -1).expand(*hit.shape, 2)
    return torch.cat([drawn, depth[..., None], hit[..., None], where], -1)


def layers(config: ViewsConfig, inputs: Inputs, centre: Tensor, half_m: float) -> dict[str, Tensor]:
    """(B, V, S, S, C) each: where the tool is and was; the path's points; the path's channels, where points are."""
    known = {
        "body": lambda: _body(inputs),
        "cloud": lambda: (inputs.waypoints, inputs.waypoint_on, inputs.waypoint_features),
        "channels": lambda: (inputs.points, inputs.point_on, inputs.point_channels),
    }
    drawn = {}
    for name in layer_channels(config):
        points, on, features = known[name]()
        local = (points - centre[:, None]) / half_m
        features = torch.cat([features, local.clamp(-FAR, FAR)], -1) if name == "cloud" else features
        local = local if name == "channels" else local.clamp(-_border(config), _border(config))
        drawn[name] = _render(config, local, on, features)[0]
    return drawn


def _border(config: ViewsConfig) -> float:
    """Local coordinate of the middle of a view's outermost pixels."""
    return 1 - 1 / config.view_px


def _body(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    tool = torch.zeros_like(inputs.previous)
    known = inputs.previous_features[:, 0] > 0
    which = torch.eye(2, device=tool.device).expand(len(tool), 2, 2)
    return torch.stack([tool, inputs.previous], 1), torch.stack([torch.ones_like(known), known], 1), which


def _render(config: ViewsConfig, local: Tensor, on: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    return render(local, on, features, config.views, config.view_px, config.splat_px)
