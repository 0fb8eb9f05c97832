"""A model whose numbers are none says nothing: NaN among its logits ends the answer with an error."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hamster.path import PlanError


class SoundLogits(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Look at every token's logits before anything is chosen, forbidden or drawn: argmax of NaN is a token, too."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores (B, V) as they are.

        Raises:
            PlanError: if a row of them holds NaN or plus infinity, or allows no token at all.
        """
        if not torch.isfinite(scores.amax(-1)).all():
            raise PlanError(
                "the model's logits are no numbers: its weights are at fault, or numbers that its dtype cannot hold; "
                "try dtype float32, or another checkpoint"
            )
        return scores
