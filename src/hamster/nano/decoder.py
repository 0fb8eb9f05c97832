"""One layer of the decoder, in two forms that compute the same function.

`step` is for generation, with a key-value cache. `blocks` is for training: several instructions share one image, and
each attends to the image and to itself but not to the other instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.norms import HeadNorm, Norm


class Layer(nn.Module):
    """Pre-norm attention and a squared-ReLU MLP.

    With `query_key_norm` queries and keys are normalised per head; with `branch_norm` the outputs of attention and MLP
    are normalised, too (as in Gemma 2, arXiv 2408.00118). Without them states grow without bound in a long training,
    attention saturates, and learning stops.
    """

    def __init__(self, config: HamsterNanoConfig, index: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.index = index
        self.heads = config.num_attention_heads
        self.attention_norm, self.mlp_norm = Norm(width, config), Norm(width, config)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up = nn.Linear(width, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, width, bias=False)
        normed, bounded = config.query_key_norm, config.branch_norm
        self.query_norm, self.key_norm = (
            HeadNorm(self.heads, width // self.heads, config) if normed else nn.Identity() for _ in range(2)
        )
        self.attention_branch_norm, self.mlp_branch_norm = (
            Norm(width, config) if bounded else nn.Identity() for _ in range(2)
        )

    def step(self, x: Tensor, allowed: Tensor, cache: Any) -> Tensor:
        """Return the states of new tokens after this layer.

        Args:
            x: (B, T, D) states of the new tokens.
            allowed: (B, 1, T, S) True where a new token may attend to one of all S keys.
            cache: key-value cache of transformers with the earlier tokens, or None.
        """
        key, value = self.keys_values(x)
        if cache is not None:
            key, value = cache.update(key, value, self.index)
        return self.attend(x, key, value, allowed)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, H, T, D / H) of states (B, T, D)."""
        h = self.attention_norm(x)
        return self.key_norm(self._split(self.key(h))), self._split(self.value(h))

    def attend(self, x: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return states (B, T, D) after this layer, given keys and values of all that they may attend to.

        Args:
            x: (B, T, D) states before it.
            key, value: (B, H, S, D / H).
            allowed: (B, 1, T, S) True where a state may attend to a key; None: everywhere.
        """
        query = self.query_norm(self._split(self.query(self.attention_norm(x))))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return self._finish(x, self._merge(scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value))

    def blocks(
        self,
        image: Tensor,
        text: Tensor,
        future: Tensor,
        update_image: bool,
        record: Callable[[Tensor], None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return image and text states after this layer, in the training form.

        Args:
            image: (B, P, D) states of the image tokens, which attend to one another.
            text: (B, K, T, D) states of K instructions with their answers, padded on the right.
            future: (T, T) True where a key comes after its query.
            update_image: whether this layer changes the image tokens.
            record: called with the logits (B, H, K, T, P + T) of the text's attention, for monitoring.
        """
        batch, count, length, width = text.shape
        image_in, text_in = self.attention_norm(image), self.attention_norm(text).flatten(1, 2)
        image_key, image_value = self.key_norm(self._split(self.key(image_in))), self._split(self.value(image_in))
        scale = 1 / math.sqrt(width // self.heads)
        query = self.query_norm(self._split(self.query(text_in))) * scale
        own = (batch, self.heads, count, length, width // self.heads)
        key, value = self.key_norm(self._split(self.key(text_in))).reshape(own), self._split(self.value(text_in))
        value = value.reshape(own)
        to_image = (query @ image_key.transpose(-1, -2)).reshape(*own[:-1], -1)
        to_text = (query.reshape(own) @ key.transpose(-1, -2)).masked_fill(future, -1e4)
        logits = torch.cat([to_image, to_text], -1)
        if record is not None:
            record(logits)
        weights = logits.softmax(-1)
        from_image = weights[..., : image.shape[1]].reshape(batch, self.heads, count * length, -1) @ image_value
        mixed = from_image + (weights[..., image.shape[1] :] @ value).reshape(from_image.shape)
        text = self._finish(text, self._merge(mixed).reshape(text.shape))
        if update_image:
            image_query = self.query_norm(self._split(self.query(image_in))) * scale
            weights = (image_query @ image_key.transpose(-1, -2)).softmax(-1)
            image = self._finish(image, self._merge(weights @ image_value))
        return image, text

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def _merge(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.attention_branch_norm(self.output(attended))
        change: Tensor = self.mlp_branch_norm(self.down(F.relu(self.up(self.mlp_norm(x))).square()))
        return x + change
