"""The 2D baseline: images with the path on them in, the next second or two of motion out.

In the spirit of ACT (arXiv 2304.13705) and Diffusion Policy (arXiv 2303.04137): a convolutional tower, a transformer,
and a chunk of poses in one go; with a path given there is little left to choose between, so plain L1 is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.conditioning import CHANNELS, zero_init
from hamster.policy.image.config import ImageConfig
from hamster.policy.image.inputs import WAYPOINT, Inputs, make_inputs
from hamster.policy.image.vision import PATCH, STEM, STRIDE, Eyes
from hamster.policy.layers import mlp
from hamster.policy.rotation import matrix_from_six, six_from_matrix
from hamster.policy.scene import Scene

BODY = 3 + 6 + 2  # tool position, rotation, gripper
POSE = 3 + 6 + 1
LOSS_M = 0.05  # this much off weighs as much as a radian or a gripper in doubt
REACH_M = 0.1  # so that a few centimetres count for something from the start
STILL = torch.tensor([1.0, 0, 0, 0, 1, 0], device="cpu")  # also if `load` imports this under the device "meta"


class ImageActor(Actor[ImageConfig, Inputs]):
    """Inputs -> the next poses, relative to the tool's."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        width, cameras = config.width, len(config.cameras)
        self.eyes = Eyes(config)
        self.places = nn.Parameter(places(config.image_px // STRIDE, width) + torch.randn(cameras, 1, width) * 0.5)
        self.norm_patches = nn.LayerNorm(width)
        self.facts = nn.Linear(BODY + cameras * config.points * 2, 2 * width)
        self.gist = nn.Sequential(nn.GELU(), mlp(2 * width, 2 * width, width), nn.LayerNorm(width))
        learned = {
            "channels": zero_init(nn.Conv2d(CHANNELS, STEM, PATCH, PATCH)),
            "tokens": zero_init(nn.Linear(config.waypoints * WAYPOINT, 2 * width, bias=False)),
        }
        self.conditioners = nn.ModuleDict({name: learned[name] for name in config.conditioners if name in learned})
        self.encoder = nn.TransformerEncoder(
            _layer(nn.TransformerEncoderLayer, config), config.encoder_layers, enable_nested_tensor=False
        )
        self.steps = nn.Linear(width, config.horizon * width)
        self.decoder = nn.TransformerDecoder(_layer(nn.TransformerDecoderLayer, config), config.decoder_layers)
        self.pose = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, POSE))

    def prepare(self, scene: Scene) -> Inputs:
        """See `Actor.prepare`."""
        return make_inputs(self.config, scene)

    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """L1 of positions and rotations, cross-entropy of the gripper."""
        position, turn, gripper_logit = self.chunk(inputs)
        wanted = six_from_matrix(target.rotation @ inputs.tool_rotation.transpose(-1, -2)[:, None])
        return {
            "position": (position - target.position).abs().mean() / LOSS_M,
            "rotation": (turn - wanted).abs().mean(),
            "gripper": nn.functional.binary_cross_entropy_with_logits(gripper_logit, target.is_open) * 0.5,
        }

    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """One forward pass; a chunk that stands still is how it says that it is done."""
        position, turn, gripper_logit = self.chunk(inputs)
        is_open = gripper_logit.sigmoid()
        return Prediction(
            position=position,
            rotation=matrix_from_six(turn) @ inputs.tool_rotation[:, None],
            is_open=is_open,
            done=torch.zeros_like(is_open[:, 0]),
            touches=torch.full_like(is_open, torch.nan),
            score=(2 * is_open - 1).abs().mean(-1),
        )

    def chunk(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (B, K, 3) in metres from the tool, turns from its rotation (B, K, 6), logits of open (B, K)."""
        gist, patches = self.see(inputs)
        context = self.encoder(torch.cat([gist[:, None], patches], 1))
        steps = self.steps(gist).unflatten(-1, (self.config.horizon, -1))  # a first guess, which looking corrects
        position, turn, is_open = self.pose(self.decoder(steps, context)).float().split([3, 6, 1], -1)
        return position * self.config.position_scale_m, turn + STILL.to(turn.device), is_open[..., 0]

    def see(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What is known in numbers (B, width): body, image points, waypoints; and the patches (B, N, width)."""
        told = None
        if "channels" in self.conditioners:
            told = self.conditioners["channels"](inputs.channels.permute(0, 3, 1, 2))
        patches, points = self.eyes(inputs.rgb, told)
        parts = [inputs.tool_position / REACH_M, six_from_matrix(inputs.tool_rotation), inputs.gripper]
        facts = self.facts(torch.cat([*parts, points.flatten(1)], -1))
        if "tokens" in self.conditioners:  # zeros where there is no path
            facts = facts + self.conditioners["tokens"](inputs.waypoints.flatten(1))
        return self.gist(facts), (self.norm_patches(patches) + self.places).flatten(1, 2)


def _layer(kind: Callable[..., nn.Module], config: ImageConfig) -> Any:
    """One of torch's transformer layers, pre-norm and without dropout."""
    sizes = {"d_model": config.width, "nhead": config.heads, "dim_feedforward": 2 * config.width}
    return kind(**sizes, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)


def places(side: int, width: int) -> Tensor:
    """(side², width): sines and cosines of u and v at several frequencies, as large as what they are added to.

    To start with: they are learned. Small random codes instead would be drowned out by the patches for a long time.
    """
    at = (torch.arange(side) + 0.5) / side
    v, u = torch.meshgrid(at, at, indexing="ij")
    # The device is named: transformers replaces torch.linspace while it loads a model, and torch keeps a list of the
    # functions that `with torch.device(…)` acts on from its first use.
    frequencies = torch.pi * 2.0 ** torch.linspace(-1, 3, width // 4, device=at.device)
    angles = torch.stack([u, v], -1).reshape(-1, 2, 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)
