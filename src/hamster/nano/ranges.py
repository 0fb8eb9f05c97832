"""Whether a decoder stays in range: norms of its states, and how sharp its attention is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hamster.nano import tokens

SHARP = 0.99


@dataclass(frozen=True)
class LayerRange:
    """One layer on one batch.

    Attributes:
        norm: mean norm of a text state after the layer.
        logit_std: standard deviation, over the image's patches, of the logits of attention; mean over heads and tokens.
        entropy: of attention, in nats; ln of the number of keys if it looks everywhere, 0 if it looks at one place.
        sharp: share of heads and tokens that put more than 0.99 on one place, where nothing more is learned.
    """

    norm: float
    logit_std: float
    entropy: float
    sharp: float


def layer_range(states: Tensor, logits: Tensor, real: Tensor) -> LayerRange:
    """Measure one layer.

    Args:
        states: (B, K, T, D) text states after it.
        logits: (B, H, K, T, 256 + T) of its text's attention.
        real: (B, K, T) which tokens are not padding.
    """
    mine = logits.float().movedim(1, 3)[real]  # (N, H, 256 + T)
    weights = mine.softmax(-1)
    entropy = -(weights * weights.clamp(min=1e-9).log()).sum(-1)
    return LayerRange(
        norm=float(states[real].float().norm(dim=-1).mean()),
        logit_std=float(mine[..., : tokens.GRID**2].std(-1).mean()),
        entropy=float(entropy.mean()),
        sharp=float((weights.amax(-1) > SHARP).float().mean()),
    )
