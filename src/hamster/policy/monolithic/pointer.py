"""Pointing at the image while predicting a number: the planner's pointer network, kept for what it had learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.pointers import Answer, match

OCTAVES = 6  # of the sinusoidal encoding of a position, whose shortest wave is a patch long
TARGET_PATCHES = 0.7  # standard deviation of the pointing target: its mean is finer than a patch


class ImagePointer(nn.Module):
    """Adds to a state the position that it points at, the features there, and the tool's position.

    A position in the image of a fixed camera gives the position on the table. Attention alone would have to learn that
    from a few hundred demonstrations; it did not. Nor did the pointer by itself move from where the planner's first
    word points: where training has calibrated cameras, `pointing_loss` supervises it.
    """

    patches: Tensor

    def __init__(self, answer: Answer, channels: int, width: int) -> None:
        """Start from a planner's `answer` module.

        Args:
            answer: has the pointer's query, key and patch layers.
            channels: of the image's features.
            width: of the states.
        """
        super().__init__()
        self.query, self.key, self.patch = answer.query, answer.key, answer.patch
        self.patch_value = nn.Linear(channels, width)
        self.gate_value = nn.Linear(2 * width + 4 * OCTAVES + 3 * width, 4 * width)
        self.out = nn.Linear(2 * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        centres = (torch.arange(tokens.GRID) + 0.5) / tokens.GRID
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("patches", torch.stack([columns, rows], -1).flatten(0, 1), persistent=False)

    def forward(self, states: Tensor, features: Tensor, tool: Tensor) -> tuple[Tensor, Tensor]:
        """Point at the image.

        Args:
            states: (B, N, D), normalised.
            features: (B, 256, C) of the patches.
            tool: (B, 3, D) tokens of the tool's position.

        Returns:
            The changed states, and the logits (B, N, 256) of the patches that each points at.
        """
        logits = match(self.query(states), features, self.key, self.patch).float()
        uv = self.position(logits)
        angles = (uv[..., None] * torch.pi * 2.0 ** torch.arange(OCTAVES, device=uv.device)).flatten(-2)
        attended = self.patch_value(logits.softmax(-1).to(features.dtype) @ features)
        tool = tool.flatten(1)[:, None].expand(-1, states.shape[1], -1)
        parts = [states, attended, angles.sin().to(attended), angles.cos().to(attended), tool.to(attended)]
        gate, value = self.gate_value(torch.cat(parts, -1)).chunk(2, -1)
        return states + self.out(F.silu(gate) * value), logits

    def position(self, logits: Tensor) -> Tensor:
        """Return the mean position (B, N, 2), uv in [0, 1], of logits (B, N, 256); in float32 under autocast, too."""
        with torch.autocast(logits.device.type, enabled=False):
            return logits.softmax(-1) @ self.patches

    def pointing_loss(self, logits: Tensor, uv: Tensor) -> Tensor:
        """Return the cross-entropy of logits (B, N, 256) against a spot at uv (B, 2), in [0, 1].

        Samples with a spot that is NaN or outside of the image do not count.
        """
        distance = (self.patches - uv[:, None].nan_to_num(-1.0)) * tokens.GRID / TARGET_PATCHES
        target = (-0.5 * distance.square().sum(-1)).softmax(-1)
        loss = -(target[:, None] * logits.log_softmax(-1)).sum(-1).mean(-1)
        is_visible = ((uv >= 0) & (uv <= 1)).all(-1)
        return (loss * is_visible).sum() / is_visible.sum().clamp(min=1)
