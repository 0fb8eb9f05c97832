"""What may differ between the demonstrations and the day: paths drawn by a model, execution errors, colours, depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.geometry import rotation_z
from hamster.path import Path
from hamster.policy.inputs import Inputs

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AugmentConfig:
    """How much of what.

    Attributes:
        path_dropout: probability of no path at all.
        stale_path: probability of the path of the episode's first frame instead of one from here.
        waypoint_noise, path_shift: standard deviations, relative to the image, of each waypoint and of stretches.
        omit_waypoint: probability that a waypoint which is neither an event nor an end is left out.
        transplant: probability of the picture of another scene: the path is to be followed also where nothing is.
        finish: probability that at the last keypose's frame the tool is put where it leads: all is done.
        forget: probability that the policy does not know where it was asked the last time.
        tool_noise_m, tool_noise_rad: standard deviation of the tool's pose where it stopped.
        turn_rad: scene and all turn about the vertical by up to this.
        mirror: probability of left and right being swapped.
        depth_noise_m: largest standard deviation of the depth; point_dropout: largest part of pixels without depth.
        colour: strength of brightness, contrast and tint.
    """

    path_dropout: float = 0.15
    stale_path: float = 0.6
    waypoint_noise: float = 0.01
    path_shift: float = 0.008
    omit_waypoint: float = 0.15
    transplant: float = 0.12
    finish: float = 0.5
    forget: float = 0.1
    tool_noise_m: float = 0.004
    tool_noise_rad: float = 0.03
    turn_rad: float = 0.2
    mirror: float = 0.5
    depth_noise_m: float = 0.0005
    point_dropout: float = 0.05
    colour: float = 0.2


def disturb_path(path: Path, config: AugmentConfig, rng: np.random.Generator) -> Path:
    """A path as a model might draw it: waypoints omitted, displaced one by one and by stretches."""
    ends_and_events = {0, len(path) - 1, *(i for i, _ in path.events)}
    keep = [i for i in range(len(path)) if i in ends_and_events or rng.random() > config.omit_waypoint]
    shift = rng.normal(0, config.path_shift, (2, 2))  # drifts from one displacement at the start to another at the end
    drift = shift[0] + np.linspace(0, 1, len(keep))[:, None] * (shift[1] - shift[0])
    uv = path.uv[keep] + drift + rng.normal(0, config.waypoint_noise, (len(keep), 2)) * rng.uniform(0, 1.4)
    return Path(uv.clip(0, 1), path.gripper[keep])


def disturb_tool(tool_pose_world: Array, config: AugmentConfig, rng: np.random.Generator) -> Array:
    """The tool stopped a little off, turned a little about the vertical."""
    out = np.array(tool_pose_world, np.float64)
    out[:3, 3] += rng.normal(0, config.tool_noise_m, 3)
    out[:3, :3] = rotation_z(rng.normal(0, config.tool_noise_rad)) @ out[:3, :3]
    return out


def disturb_batch(
    inputs: Inputs, position: Tensor, rotation: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Inputs, Tensor, Tensor]:
    """Noise on the images, then the same random turn and mirroring of everything.

    Args:
        inputs: a batch; positions are relative to the tool, so turning about it is turning about any vertical axis.
        position, rotation: (B, 3) from the tool and (B, 3, 3), the targets.
    """
    inputs = _noisy_images(inputs, config, generator)
    batch, device = len(position), position.device
    angle = (torch.rand(batch, generator=generator) * 2 - 1) * config.turn_rad
    flip = torch.rand(batch, generator=generator) < config.mirror
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros(batch), torch.ones(batch)
    sign = torch.where(flip, -1.0, 1.0)
    rows = [torch.stack(r, -1) for r in ((c, -s * sign, zero), (s, c * sign, zero), (zero, zero, one))]
    move = torch.stack(rows, -2).to(device)  # world, mirrored first
    fingers = torch.stack([one, sign, one], -1).diag_embed().to(device)  # of a mirrored tool, so that it is one again
    return _moved(inputs, move, fingers, flip.to(device)), _turn(move, position), move @ rotation @ fingers


def _moved(inputs: Inputs, move: Tensor, fingers: Tensor, flip: Tensor) -> Inputs:
    def flipped(x: Tensor) -> Tensor:
        where = flip.view(-1, *[1] * (x.dim() - 1))
        return torch.where(where, x.flip(3), x)

    tensors = {k: getattr(inputs, k) for k in ("points", "centres", "waypoints", "rays", "previous")}
    moved = {k: _turn(move, v) for k, v in tensors.items()}
    moved["points"] = flipped(moved["points"])
    return replace(
        inputs,
        **moved,
        rgb=flipped(inputs.rgb),
        depth_m=flipped(inputs.depth_m),
        tool_rotation=move @ inputs.tool_rotation @ fingers,
    )


def _turn(move: Tensor, points: Tensor) -> Tensor:
    """(B, 3, 3) applied to (B, ..., 3)."""
    flat = points.flatten(1, -2) if points.dim() > 2 else points[:, None]
    return (flat @ move.transpose(1, 2)).view_as(points)


def _noisy_images(inputs: Inputs, config: AugmentConfig, generator: torch.Generator) -> Inputs:
    depth, points = inputs.depth_m, inputs.points
    batch = len(depth)

    def per_sample(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(batch, *shape, generator=generator) * (high - low) + low
        return drawn.to(depth.device)

    noise = torch.randn(depth.shape, generator=generator).to(depth.device) * per_sample(0, 1, 1, 1, 1)
    chance = torch.rand(depth.shape, generator=generator).to(depth.device)
    dropped = chance < per_sample(0, config.point_dropout, 1, 1, 1)
    points = points + noise[..., None] * config.depth_noise_m
    gain = per_sample(1 - config.colour, 1 + config.colour, 1, 1, 1, 3)
    shift = per_sample(-config.colour / 4, config.colour / 4, 1, 1, 1, 1)
    rgb = (inputs.rgb / 255.0 * gain + shift).clamp(0, 1) * 255
    return replace(inputs, rgb=rgb, points=points, depth_m=depth * ~dropped)
