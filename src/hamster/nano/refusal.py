"""How likely the bundled planner finds it that what is asked for is not in view, whatever it would answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hamster.nano import tokens
from hamster.nano.grammar import refusal_log_odds


@torch.inference_mode()
def p_not_in_view(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Probabilities (B,) of "not in view" against all paths.

    Args:
        model: a `HamsterNanoForConditionalGeneration`.
        inputs: what its processor makes of B questions: input_ids, attention_mask and pixel_values.
    """
    begun = {name: inputs[name].to(model.device) for name in ("input_ids", "attention_mask", "pixel_values")}
    for name, value in (("input_ids", tokens.ANS), ("attention_mask", 1)):
        begun[name] = torch.nn.functional.pad(begun[name], (0, 1), value=value)
    logits = model(**begun, logits_to_keep=1).logits[:, -1, tokens.ANSWER]
    return refusal_log_odds(logits).sigmoid()
