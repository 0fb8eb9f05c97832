"""Monitoring of the decoder in training: norms of its states, and the sharpness of its attention."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hamster.nano import tokens

SHARP = 0.99  # attention weight on one key above which a head counts as saturated


@dataclass(frozen=True)
class LayerRange:
    """Statistics of one layer on one batch.

    Attributes:
        norm: mean norm of the text states after the layer.
        logit_std: standard deviation of attention logits over the image's patches; mean over heads and tokens.
        entropy: mean entropy of attention, in nats: ln of the number of keys if uniform, 0 if on a single key.
        sharp: share of heads and tokens with more than 0.99 of their attention on one key, where gradients vanish.
    """

    norm: float
    logit_std: float
    entropy: float
    sharp: float


def layer_range(states: Tensor, logits: Tensor, real: Tensor) -> LayerRange:
    """Measure one layer.

    Args:
        states: (B, K, T, D) text states after the layer.
        logits: (B, H, K, T, 256 + T) attention logits of the text.
        real: (B, K, T) True where a token is not padding.
    """
    real_logits = logits.float().movedim(1, 3)[real]  # (N, H, 256 + T)
    weights = real_logits.softmax(-1)
    entropy = -(weights * weights.clamp(min=1e-9).log()).sum(-1)
    return LayerRange(
        norm=float(states[real].float().norm(dim=-1).mean()),
        logit_std=float(real_logits[..., : tokens.GRID**2].std(-1).mean()),
        entropy=float(entropy.mean()),
        sharp=float((weights.amax(-1) > SHARP).float().mean()),
    )
