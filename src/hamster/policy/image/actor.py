"""The 2D baseline: images with the path drawn on them in, the next second or two of motion out.

In the spirit of ACT (arXiv 2304.13705) and Diffusion Policy (arXiv 2303.04137): a convolutional encoder, a transformer,
and a chunk of poses in one pass; given a path there is little left to choose between, so a plain L1 loss is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.conditioning import CONDITIONERS, ChannelConditioner
from hamster.policy.image.config import ImageConfig
from hamster.policy.image.inputs import WAYPOINT_FEATURES, ImageInputs, make_inputs
from hamster.policy.image.vision import STEM_PATCH, STEM_WIDTH, STRIDE, ImageEncoder
from hamster.policy.layers import matrix_from_six, mlp, six_from_matrix, zero_init
from hamster.policy.policy_input import PolicyInput

STATE_DIM = 3 + 6 + 2  # tool position, rotation, gripper
POSE_DIM = 3 + 6 + 1
LOSS_UNIT_M = 0.05  # an error of this much weighs as much as a radian, or as an undecided gripper
POSITION_UNIT_M = 0.1
IDENTITY = torch.tensor([1.0, 0, 0, 0, 1, 0], device="cpu")  # also if `load` imports this under the device "meta"


class ImageActor(Actor[ImageConfig, ImageInputs]):
    """Inputs to the next poses, relative to the tool's."""

    config_class = ImageConfig

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        width, cameras = config.width, len(config.cameras)
        self.image_encoder = ImageEncoder(config)
        position = sinusoidal_positions(config.image_px // STRIDE, width)
        self.patch_position = nn.Parameter(position + torch.randn(cameras, 1, width) * 0.5)
        self.norm_patches = nn.LayerNorm(width)
        self.state_embedding = nn.Linear(STATE_DIM + cameras * config.points * 2, 2 * width)
        self.state_summary = nn.Sequential(nn.GELU(), mlp(2 * width, 2 * width, width), nn.LayerNorm(width))
        # The built-in ones are made in any case, so that a seed gives the same weights with all conditioners.
        names = dict.fromkeys(["channels", "tokens", *config.conditioners])
        modules = {name: _conditioner_module(name, config) for name in names}
        self.conditioners = nn.ModuleDict(
            {name: module for name in config.conditioners if (module := modules[name]) is not None}
        )
        self.encoder = nn.TransformerEncoder(
            _transformer_layer(nn.TransformerEncoderLayer, config), config.encoder_layers, enable_nested_tensor=False
        )
        self.pose_queries = nn.Linear(width, config.horizon * width)
        self.decoder = nn.TransformerDecoder(
            _transformer_layer(nn.TransformerDecoderLayer, config), config.decoder_layers
        )
        self.pose = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, POSE_DIM))

    def preprocess(self, policy_input: PolicyInput) -> ImageInputs:
        """Return one sample; see `Actor.preprocess`."""
        return make_inputs(self.config, policy_input)

    def compute_loss(self, inputs: ImageInputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return L1 of positions and rotations, cross-entropy of the gripper."""
        position, turn, gripper_logit = self.predict_chunk(inputs)
        target_turn = six_from_matrix(target.rotation @ inputs.tool_rotation.transpose(-1, -2)[:, None])
        return {
            "position": (position - target.position).abs().mean() / LOSS_UNIT_M,
            "rotation": (turn - target_turn).abs().mean(),
            "gripper": nn.functional.binary_cross_entropy_with_logits(gripper_logit, target.is_open) * 0.5,
        }

    def predict(self, inputs: ImageInputs, generator: torch.Generator) -> Prediction:
        """Return the chunk of one forward pass; it is never `done`, but stands still at the end."""
        position, turn, gripper_logit = self.predict_chunk(inputs)
        is_open = gripper_logit.sigmoid()
        return Prediction(
            position=position,
            rotation=matrix_from_six(turn) @ inputs.tool_rotation[:, None],
            is_open=is_open,
            done=torch.zeros_like(is_open[:, 0]),
            contact_prob=torch.full_like(is_open, torch.nan),
            score=(2 * is_open - 1).abs().mean(-1),
        )

    def predict_chunk(self, inputs: ImageInputs) -> tuple[Tensor, Tensor, Tensor]:
        """Return the network's output.

        Returns:
            Positions (B, K, 3) in metres from the tool, turns from its rotation (B, K, 6), logits of open (B, K).
        """
        state, patches = self.encode(inputs)
        context = self.encoder(torch.cat([state[:, None], patches], 1))
        queries = self.pose_queries(state).unflatten(-1, (self.config.horizon, -1))
        position, turn, is_open = self.pose(self.decoder(queries, context)).float().split([3, 6, 1], -1)
        return position * self.config.position_scale_m, turn + IDENTITY.to(turn.device), is_open[..., 0]

    def encode(self, inputs: ImageInputs) -> tuple[Tensor, Tensor]:
        """Return the state (B, width) of robot, image points and waypoints, and the patches (B, N, width)."""
        stem_addition = None
        for name, values in inputs.channels.items():
            addition = self.conditioners[name](values.permute(0, 3, 1, 2))
            stem_addition = addition if stem_addition is None else stem_addition + addition
        patches, points = self.image_encoder(inputs.rgb, stem_addition)
        robot = [inputs.tool_position / POSITION_UNIT_M, six_from_matrix(inputs.tool_rotation), inputs.gripper]
        state = self.state_embedding(torch.cat([*robot, points.flatten(1)], -1))
        if "tokens" in self.conditioners:  # zeros where there is no path
            state = state + self.conditioners["tokens"](inputs.waypoints.flatten(1))
        return self.state_summary(state), (self.norm_patches(patches) + self.patch_position).flatten(1, 2)


def sinusoidal_positions(side: int, width: int) -> Tensor:
    """Return (side², width) sines and cosines of u and v at several frequencies, as large as the patches' features.

    They are an initialisation: they are trained. Small random ones would be negligible beside the patches for a long
    time.
    """
    at = (torch.arange(side) + 0.5) / side
    v, u = torch.meshgrid(at, at, indexing="ij")
    # The device is named: transformers replaces torch.linspace while it loads a model, and torch keeps a list of the
    # functions that `with torch.device(…)` acts on from its first use.
    frequencies = torch.pi * 2.0 ** torch.linspace(-1, 3, width // 4, device=at.device)
    angles = torch.stack([u, v], -1).reshape(-1, 2, 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


def _conditioner_module(name: str, config: ImageConfig) -> nn.Module | None:
    """Return the module through which a conditioner enters; None for one that draws."""
    if name == "tokens":
        return zero_init(nn.Linear(config.waypoints * WAYPOINT_FEATURES, 2 * config.width, bias=False))
    conditioner = CONDITIONERS.get(name)
    if isinstance(conditioner, ChannelConditioner):
        return zero_init(nn.Conv2d(conditioner.n_channels, STEM_WIDTH, STEM_PATCH, STEM_PATCH))
    return None


def _transformer_layer(kind: Callable[..., nn.Module], config: ImageConfig) -> Any:
    """Return one of torch's transformer layers, pre-norm and without dropout."""
    sizes = {"d_model": config.width, "nhead": config.heads, "dim_feedforward": 2 * config.width}
    return kind(**sizes, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
