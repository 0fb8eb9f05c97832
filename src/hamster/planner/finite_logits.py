"""A check that a model's logits are numbers: NaN among them ends the generation with an error."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hamster.path import PlanError


class FiniteLogitsCheck(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Checks the logits of every token before any is masked or sampled: argmax of NaN would be a token, too."""

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
