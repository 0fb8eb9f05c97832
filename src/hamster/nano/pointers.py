"""Where words meet the image: what tokens look like to the decoder, and its answers as pointers at patches."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.decoder import RMSNorm

WAVES = 5  # along each axis; the shortest is two patches long


class PlaceCode(nn.Module):
    """The places of the 256 patches as a linear map of their coordinates and of waves along both axes.

    Read like an embedding. Near patches are alike, and "further left" is the same direction everywhere, which a free
    vector for each patch would have to learn patch by patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * (1 + 2 * WAVES), width, bias=False)

    def start(self, rms: float) -> None:
        """Draw the map so that a place's vector has about this root mean square."""
        features = _coordinates(self.project.weight.device)
        nn.init.normal_(self.project.weight, std=rms / float(features.square().sum(-1).mean().sqrt()))

    @property
    def weight(self) -> Tensor:
        """(256, D), row by row."""
        table: Tensor = self.project(_coordinates(self.project.weight.device).to(self.project.weight.dtype))
        return table

    def forward(self, patches: Tensor) -> Tensor:
        """(...) patch numbers to (..., D)."""
        return F.embedding(patches, self.weight)


@cache
def _coordinates(device: torch.device) -> Tensor:
    """(256, 22) x and y of the patches' centres, of unit variance, and waves of 4 to 1/4 half images along both."""
    centres = (torch.arange(tokens.GRID, dtype=torch.float) + 0.5) * 2 / tokens.GRID - 1
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    axes = torch.stack([columns, rows], -1).flatten(0, 1)
    angles = (axes[..., None] * math.pi / 2 * 2.0 ** torch.arange(WAVES)).flatten(1)
    return torch.cat([axes * math.sqrt(3), angles.sin(), angles.cos()], -1).to(device)


Places = PlaceCode | nn.Embedding


class Words(nn.Module):
    """What every token looks like to the decoder: embeddings of tokens, positions and patches."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.token = nn.Embedding(config.vocab_size, width, padding_idx=tokens.PAD)
        self.position = nn.Embedding(config.max_text_tokens, width)
        self.patch: Places = PlaceCode(width) if config.place_code else nn.Embedding(tokens.GRID**2, width)
        self.from_image = nn.Linear(config.tower_channels[-1], width, bias=False)
        self.from_location = nn.Linear(config.tower_channels[-1], width, bias=False)

    def start(self) -> None:
        """Bytes start silent, so that an unknown word says nothing rather than noise; positions start smooth."""
        with torch.no_grad():
            self.token.weight[tokens.PAD : tokens.IMAGE].zero_()
            self.token.weight[tokens.BYTES : tokens.WORDS].zero_()
            self.token.weight[tokens.PATCHES : tokens.OFFSETS] = self.token.weight[tokens.PATCHES]
            self.position.weight.copy_(
                0.3 * _waves(torch.arange(len(self.position.weight)), self.position.weight.shape[1])
            )
            if isinstance(self.patch, PlaceCode):
                self.patch.start(0.5)
                return
            rows, columns = torch.meshgrid(torch.arange(tokens.GRID), torch.arange(tokens.GRID), indexing="ij")
            half = self.patch.weight.shape[1] // 2
            waves = [_waves(axis.flatten() * 4, half) for axis in (rows, columns)]
            self.patch.weight.copy_(0.5 * torch.cat(waves, -1))

    def image(self, features: Tensor) -> Tensor:
        """(B, 256, C) patch features to image tokens (B, 256, D)."""
        seen: Tensor = self.from_image(features)
        return seen + self.patch.weight

    def text(self, ids: Tensor, positions: Tensor, features: Tensor) -> Tensor:
        """(B, T) tokens at `positions` (B, T) or (T,) to (B, T, D); locations look into `features` (B, 256, C)."""
        location = (ids >= tokens.PATCHES) & (ids < tokens.OFFSETS)
        patch = (ids - tokens.PATCHES).clamp(0, tokens.GRID**2 - 1)
        seen = self.from_location(features).gather(1, patch[..., None].expand(-1, -1, self.token.embedding_dim))
        seen = seen + self.patch(patch)
        said: Tensor = self.token(ids) + self.position(positions) + seen * location[..., None]
        return said


class Answer(nn.Module):
    """From decoder states to logits over all that an answer may hold: 4 marks, 256 patches, 64 bins."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm = RMSNorm(width)
        self.marks = nn.Linear(width, tokens.PATCHES - tokens.ANS)
        self.bins = nn.Linear(width, tokens.BINS**2)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(config.tower_channels[-1], width, bias=False)
        self.patch: Places = PlaceCode(width) if config.place_code else nn.Embedding(tokens.GRID**2, width)

    def start(self) -> None:
        """Patches start with little bias for a place."""
        if isinstance(self.patch, PlaceCode):
            self.patch.start(0.1)
            return
        nn.init.normal_(self.patch.weight, std=0.1)

    def point(self, states: Tensor, features: Tensor) -> Tensor:
        """(B, T, D) normed states to logits (B, T, 256) over the patches of `features` (B, 256, C)."""
        return self.match(self.query(states), features)

    def match(self, queries: Tensor, features: Tensor) -> Tensor:
        """Logits (B, T, 256) of queries (B, T, D) over the patches."""
        return match(queries, features, self.key, self.patch)

    def forward(self, states: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) states to float32 logits (B, T, 324) and, of these, those of the patches (B, T, 256)."""
        states = self.norm(states)
        pointers = self.point(states, features).float()
        return torch.cat([self.marks(states).float(), pointers, self.bins(states).float()], -1), pointers


def match(queries: Tensor, features: Tensor, key: nn.Linear, patch: Places) -> Tensor:
    """Logits (B, T, 256) of queries (B, T, D) over the patches of `features` (B, 256, C), biased by their places."""
    keys: Tensor = key(features) + patch.weight.to(features.dtype)
    return queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])


def _waves(places: Tensor, width: int) -> Tensor:
    rates = torch.exp(-math.log(1000.0) * torch.arange(0, width, 2) / width)
    angles = places[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
