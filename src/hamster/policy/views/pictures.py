"""What a stage sees of its cube: the points, and over them, in layers of their own, robot and path.

A layer is rendered apart, so that nothing occludes it: a path behind an object is still a path. The few points of
robot and path are drawn also where a zoomed cube leaves them out, on its border, in the right row or column.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hamster.policy.conditioning import CONDITIONERS, ChannelConditioner, PointConditioner
from hamster.policy.policy_input import PointBatch
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.cube import cell_to_local, to_view_axes
from hamster.policy.views.inputs import ViewsInputs
from hamster.policy.views.renderer import render

MAX_LOCAL = 2.0  # local positions are clamped to so many halves of the cube
PICTURE_CHANNELS = 10  # rgb, position in the cube, depth, whether there is a point, pixel coordinates
ROBOT_CHANNELS = 2  # tool now, tool at the previous call


def layer_channels(config: ViewsConfig) -> dict[str, int]:
    """Return the number of channels of each layer: the robot, then conditioners with points, then with channels."""
    conditioners = {name: CONDITIONERS.get(name) for name in config.conditioners}
    points = {
        name: conditioner.n_features + 3
        for name, conditioner in conditioners.items()
        if isinstance(conditioner, PointConditioner) and name != "tokens"  # those are attended to
    }
    channels = {
        name: conditioner.n_channels
        for name, conditioner in conditioners.items()
        if isinstance(conditioner, ChannelConditioner)
    }
    return {"robot": ROBOT_CHANNELS} | points | channels


def picture(config: ViewsConfig, inputs: ViewsInputs, centre: Tensor, half_m: float) -> Tensor:
    """Render the points.

    Args:
        config: which views, and how large.
        inputs: a batch.
        centre: (B, 3) of the cubes, metres from the tool.
        half_m: half the side of the cubes.

    Returns:
        (B, V, S, S, PICTURE_CHANNELS).
    """
    local = (inputs.points - centre[:, None]) / half_m
    drawn, hit = _render(config, local, inputs.valid, torch.cat([inputs.rgb / 255.0 - 0.5, local], -1))
    depth = torch.stack(
        [to_view_axes(drawn[:, i, ..., 3:], (view,))[..., 0, 2] for i, view in enumerate(config.virtual_views)], 1
    )
    middles = cell_to_local(torch.arange(config.view_px, device=local.device), config.view_px)
    pixel = torch.stack(torch.meshgrid(middles, middles, indexing="ij"), -1).expand(*hit.shape, 2)
    return torch.cat([drawn, depth[..., None], hit[..., None], pixel], -1)


def layers(config: ViewsConfig, inputs: ViewsInputs, centre: Tensor, half_m: float) -> dict[str, Tensor]:
    """Render the layers, see `layer_channels`, of the same cubes as `picture`: (B, V, S, S, C) each."""
    drawn = {}
    border = 1 - 1 / config.view_px  # local coordinate of the middle of a view's outermost pixels
    for name in ("robot", *(name for name in inputs.path_points if name != "tokens"), *inputs.channels):
        if name in inputs.channels:
            local = (inputs.points - centre[:, None]) / half_m
            drawn[name] = _render(config, local, inputs.valid, inputs.channels[name])[0]
            continue
        points = _tool_points(inputs) if name == "robot" else inputs.path_points[name]
        local = (points.positions - centre[:, None]) / half_m
        features = points.features
        if name != "robot":
            features = torch.cat([features, local.clamp(-MAX_LOCAL, MAX_LOCAL)], -1)
        drawn[name] = _render(config, local.clamp(-border, border), points.valid, features)[0]
    return drawn


def _tool_points(inputs: ViewsInputs) -> PointBatch:
    """Return where the tool is now, and where it was at the previous call if there was one."""
    previous, known = inputs.robot.previous_positions[:, 0], inputs.robot.previous_features[:, 0, 0] > 0
    tool = torch.zeros_like(previous)
    kind = torch.eye(ROBOT_CHANNELS, device=tool.device).expand(len(tool), ROBOT_CHANNELS, ROBOT_CHANNELS)
    return PointBatch(torch.stack([tool, previous], 1), kind, torch.stack([torch.ones_like(known), known], 1))


def _render(config: ViewsConfig, local: Tensor, valid: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    return render(local, valid, features, config.virtual_views, config.view_px, config.splat_px)
