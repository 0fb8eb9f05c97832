"""The bundled planner's probability that what the instruction names is not in view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hamster.nano import tokens
from hamster.nano.grammar import refusal_log_odds


@torch.inference_mode()
def p_not_in_view(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return probabilities (B,) of "not in view" against all paths.

    Args:
        model: a `HamsterNanoForConditionalGeneration`.
        inputs: its processor's output for B requests: input_ids, attention_mask and pixel_values.
    """
    prefix = {name: inputs[name].to(model.device) for name in ("input_ids", "attention_mask", "pixel_values")}
    for name, value in (("input_ids", tokens.ANS), ("attention_mask", 1)):
        prefix[name] = torch.nn.functional.pad(prefix[name], (0, 1), value=value)
    logits = model(**prefix, logits_to_keep=1).logits[:, -1, tokens.ANSWER]
    return refusal_log_odds(logits).sigmoid()
