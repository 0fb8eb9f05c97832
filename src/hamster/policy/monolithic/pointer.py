"""Where the model looks when it says a number: the planner's pointer at the image, kept for what it had learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.pointers import Answer, match

OCTAVES = 6  # of the waves that say a place, the shortest being a patch long
SPOT_PATCHES = 0.7  # standard deviation of what is pointed at: its mean says a place more finely than a patch


class Glance(nn.Module):
    """Adds to a state the place that it points at, what is seen there, and where the tool is.

    A place in the image of a camera that stands still says where things are on the table. Attention alone would have
    to learn that anew, from a few hundred demonstrations; it did not. Nor did the pointer by itself move from where the
    planner's first word points: where training has calibrated cameras, `pointing_loss` tells it.
    """

    patches: Tensor

    def __init__(self, answer: Answer, channels: int, width: int) -> None:
        """Of a planner's `answer`, patches of so many channels and states of a width."""
        super().__init__()
        self.query, self.key, self.patch = answer.query, answer.key, answer.patch
        self.seen = nn.Linear(channels, width)
        self.mix = nn.Linear(2 * width + 4 * OCTAVES + 3 * width, 4 * width)
        self.change = nn.Linear(2 * width, width)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)
        centres = (torch.arange(tokens.GRID) + 0.5) / tokens.GRID
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("patches", torch.stack([columns, rows], -1).flatten(0, 1), persistent=False)

    def forward(self, states: Tensor, features: Tensor, tool: Tensor) -> tuple[Tensor, Tensor]:
        """Looks at the image.

        Args:
            states: (B, N, D), normed.
            features: (B, 256, C) of the patches.
            tool: (B, 3, D) says where it is.

        Returns:
            The changed states, and the logits (B, N, 256) of where each looks.
        """
        logits = match(self.query(states), features, self.key, self.patch).float()
        uv = self.place(logits)
        angles = (uv[..., None] * torch.pi * 2.0 ** torch.arange(OCTAVES, device=uv.device)).flatten(-2)
        seen = self.seen(logits.softmax(-1).to(features.dtype) @ features)
        felt = tool.flatten(1)[:, None].expand(-1, states.shape[1], -1)
        known = torch.cat([states, seen, angles.sin().to(seen), angles.cos().to(seen), felt.to(seen)], -1)
        gate, value = self.mix(known).chunk(2, -1)
        return states + self.change(F.silu(gate) * value), logits

    def place(self, logits: Tensor) -> Tensor:
        """The mean (B, N, 2) of where the logits look, uv in [0, 1]; float32 in a bfloat16 network, too."""
        with torch.autocast(logits.device.type, enabled=False):
            return logits.softmax(-1) @ self.patches

    def pointing_loss(self, logits: Tensor, uv: Tensor) -> Tensor:
        """Cross-entropy of (B, N, 256) against a spot at uv (B, 2), in [0, 1]; NaN or beyond: no loss."""
        away = (self.patches - uv[:, None].nan_to_num(-1.0)) * tokens.GRID / SPOT_PATCHES
        wanted = (-0.5 * away.square().sum(-1)).softmax(-1)
        each = -(wanted[:, None] * logits.log_softmax(-1)).sum(-1).mean(-1)
        seen = ((uv >= 0) & (uv <= 1)).all(-1)
        return (each * seen).sum() / seen.sum().clamp(min=1)
