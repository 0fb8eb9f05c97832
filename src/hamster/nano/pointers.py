"""Input embeddings of the decoder, and its output heads, which point at image patches."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.norms import Norm

FREQUENCIES = 5  # of sinusoids along each axis; the shortest wave is two patches long


class PlaceCode(nn.Module):
    """Position embeddings of the 256 patches: a linear map of their coordinates and of sinusoids along both axes.

    Used like `nn.Embedding`. Neighbouring patches have similar vectors, and "further left" is the same direction
    everywhere; a free vector per patch would have to learn both for each patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * (1 + 2 * FREQUENCIES), width, bias=False)

    def start(self, rms: float) -> None:
        """Initialise the map so that position vectors have about this root mean square."""
        features = _coordinates(self.project.weight.device)
        nn.init.normal_(self.project.weight, std=rms / float(features.square().sum(-1).mean().sqrt()))

    @property
    def weight(self) -> Tensor:
        """Return the position vectors (256, D), row by row."""
        table: Tensor = self.project(_coordinates(self.project.weight.device).to(self.project.weight.dtype))
        return table

    def forward(self, patches: Tensor) -> Tensor:
        """Return the vectors (..., D) of patch numbers (...)."""
        return F.embedding(patches, self.weight)


@cache
def _coordinates(device: torch.device) -> Tensor:
    """Return (256, 22): the patch centres' x and y with unit variance, and sine and cosine of both at five frequencies.

    Wavelengths are 2 images down to 1/8 of an image.
    """
    centres = (torch.arange(tokens.GRID, dtype=torch.float) + 0.5) * 2 / tokens.GRID - 1
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    axes = torch.stack([columns, rows], -1).flatten(0, 1)
    angles = (axes[..., None] * math.pi / 2 * 2.0 ** torch.arange(FREQUENCIES)).flatten(1)
    return torch.cat([axes * math.sqrt(3), angles.sin(), angles.cos()], -1).to(device)


Places = PlaceCode | nn.Embedding


class Words(nn.Module):
    """Input embeddings of the decoder: of tokens, text positions and patches."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.token = nn.Embedding(config.learned_words, width, padding_idx=tokens.PAD)
        self.position = nn.Embedding(config.max_text_tokens, width)
        self.patch: Places = PlaceCode(width) if config.place_code else nn.Embedding(tokens.GRID**2, width)
        self.from_image = nn.Linear(config.tower_channels[-1], width, bias=False)
        self.from_location = nn.Linear(config.tower_channels[-1], width, bias=False)
        self.word_dropout = config.word_dropout
        self.from_vector: nn.Linear | None = None
        if config.word_vector_size:
            self.from_vector = nn.Linear(config.word_vector_size, width, bias=False)
            self.register_buffer("vectors", torch.zeros(config.vocab_size, config.word_vector_size, dtype=torch.int8))

    vectors: Tensor

    def start(self) -> None:
        """Initialise bytes with zeros, so that an unknown word adds no noise, and positions with sinusoids."""
        with torch.no_grad():
            if self.from_vector is not None:  # as large as learned embeddings at their start
                nn.init.normal_(self.from_vector.weight, std=0.5 * self.from_vector.in_features**-0.5)
            self.token.weight[tokens.PAD : tokens.IMAGE].zero_()
            self.token.weight[tokens.BYTES : tokens.WORDS].zero_()
            self.token.weight[tokens.PATCHES : tokens.OFFSETS] = self.token.weight[tokens.PATCHES]
            self.position.weight.copy_(
                0.3 * _sinusoids(torch.arange(len(self.position.weight)), self.position.weight.shape[1])
            )
            if isinstance(self.patch, PlaceCode):
                self.patch.start(0.5)
                return
            rows, columns = torch.meshgrid(torch.arange(tokens.GRID), torch.arange(tokens.GRID), indexing="ij")
            half = self.patch.weight.shape[1] // 2
            waves = [_sinusoids(axis.flatten() * 4, half) for axis in (rows, columns)]
            self.patch.weight.copy_(0.5 * torch.cat(waves, -1))

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embeddings (..., D) of token ids (...), without positions.

        With word vectors, an embedding is the sum of a learned one, which words of no training text lack, and a linear
        map of the frozen vector. In training the learned part of random words that have a vector is left out.
        """
        if self.from_vector is None:
            learned: Tensor = self.token(ids)
            return learned
        vectors = F.embedding(ids, self.vectors)
        is_learned = ids < self.token.num_embeddings
        if self.training:
            is_dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout
            is_learned &= ~(is_dropped & vectors.any(-1))
        learned = self.token(torch.where(is_learned, ids, tokens.PAD))  # padding is zero and stays so
        directions = F.rms_norm(vectors.to(learned.dtype), vectors.shape[-1:], None, 1e-5)
        embedded: Tensor = learned + self.from_vector(directions)
        return embedded

    def image(self, features: Tensor) -> Tensor:
        """Return image tokens (B, 256, D) of patch features (B, 256, C)."""
        content: Tensor = self.from_image(features)
        return content + self.patch.weight

    def text(self, ids: Tensor, positions: Tensor, features: Tensor) -> Tensor:
        """Return the embeddings (B, T, D) of tokens.

        Args:
            ids: (B, T) token ids.
            positions: (B, T) or (T,) text positions.
            features: (B, 256, C) patch features, which are added to the embeddings of location tokens.
        """
        content = location_content(ids, features, self.from_location, self.patch)
        embedded: Tensor = self.embed(ids) + self.position(positions) + content
        return embedded


def location_content(ids: Tensor, features: Tensor, from_location: nn.Linear, patch: Places) -> Tensor:
    """Return what is added to the embeddings (B, T, D) of location tokens; zeros for other tokens.

    Args:
        ids: (B, T) token ids.
        features: (B, 256, C) patch features.
        from_location: maps features to embeddings.
        patch: position vectors of the patches.
    """
    is_location = (ids >= tokens.PATCHES) & (ids < tokens.OFFSETS)
    number = (ids - tokens.PATCHES).clamp(0, tokens.GRID**2 - 1)
    content: Tensor = from_location(features)
    content = content.gather(1, number[..., None].expand(-1, -1, content.shape[-1])) + patch(number)
    return content * is_location[..., None]


class Answer(nn.Module):
    """Output heads: logits over all answer tokens, namely 4 marks, 256 patches and 64 bins."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm = Norm(width, config)
        self.marks = nn.Linear(width, tokens.PATCHES - tokens.ANS)
        self.bins = nn.Linear(width, tokens.BINS**2)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(config.tower_channels[-1], width, bias=False)
        self.patch: Places = PlaceCode(width) if config.place_code else nn.Embedding(tokens.GRID**2, width)

    def start(self) -> None:
        """Initialise the position vectors small, so that pointers start with little preference for a position."""
        if isinstance(self.patch, PlaceCode):
            self.patch.start(0.1)
            return
        nn.init.normal_(self.patch.weight, std=0.1)

    def point(self, states: Tensor, features: Tensor) -> Tensor:
        """Return logits (B, T, 256) over patches, from normalised states (B, T, D) and patch features (B, 256, C)."""
        return self.match(self.query(states), features)

    def match(self, queries: Tensor, features: Tensor) -> Tensor:
        """Return logits (B, T, 256) over patches, from queries (B, T, D) and patch features (B, 256, C)."""
        return match(queries, features, self.key, self.patch)

    def forward(self, states: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return float32 logits (B, T, 324) over answer tokens, and those of the patches (B, T, 256) again.

        Args:
            states: (B, T, D) decoder states.
            features: (B, 256, C) patch features.
        """
        states = self.norm(states)
        pointers = self.point(states, features).float()
        return torch.cat([self.marks(states).float(), pointers, self.bins(states).float()], -1), pointers


def match(queries: Tensor, features: Tensor, key: nn.Linear, patch: Places) -> Tensor:
    """Return logits (B, T, 256): scaled dot products of queries with keys of patch content and position.

    Args:
        queries: (B, T, D).
        features: (B, 256, C) patch features.
        key: maps features to keys.
        patch: position vectors of the patches, added to the keys.
    """
    keys: Tensor = key(features) + patch.weight.to(features.dtype)
    return queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])


def _sinusoids(places: Tensor, width: int) -> Tensor:
    rates = torch.exp(-math.log(1000.0) * torch.arange(0, width, 2) / width)
    angles = places[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
