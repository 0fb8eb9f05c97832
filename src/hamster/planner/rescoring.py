"""Unconstrained log-probabilities of a grammar-constrained vLLM answer.

vLLM masks tokens before it takes logarithms, in every `--logprobs-mode`: its log-probabilities of a constrained answer
are relative to what the grammar allowed. Its `prompt_logprobs` are the model's own. So the answer is sent again as part
of the prompt, and its tokens are looked up there: one more prefill, no more decoding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# For the request that follows the answer.
FIELDS: Mapping[str, Any] = {"prompt_logprobs": 0, "add_generation_prompt": False}
_BEFORE = (
    "{%- if messages[-1].role == 'assistant' and not add_generation_prompt -%}{%- set said = messages[-1].content -%}"
    "{%- set messages = messages[:-1] -%}{%- set add_generation_prompt = true -%}{%- endif -%}"
)
_AFTER = "{%%- if said is defined -%%}{{ (said if said is string else said[0].text) + %s }}{%%- endif -%%}"


def rescoring_template(template: str, end: str) -> str:
    """Return a chat template that renders a last answer exactly as it was generated: prompt, answer, end mark.

    Many templates render past turns in another way, with another space or without the reasoning.

    Args:
        template: the checkpoint's own.
        end: the mark that ends an answer.
    """
    return _BEFORE + template + _AFTER % json.dumps(end)


def answer_log_probs(prompt_logprobs: object, prompt_tokens: int, text: str, is_ended: bool) -> tuple[float, ...]:
    """Find the log-probabilities of an answer's tokens, its end mark's last.

    Args:
        prompt_logprobs: vLLM's, of the conversation with the answer.
        prompt_tokens: in the prompt alone.
        text: the answer.
        is_ended: whether the model ended it, rather than running out of tokens.

    Returns:
        Natural logarithms; () if the tokens after the prompt do not spell the answer.
    """
    spelt, log_probs = "", list[float]()
    for token in prompt_logprobs[prompt_tokens:] if isinstance(prompt_logprobs, Sequence) else ():
        entries = list(token.values()) if isinstance(token, Mapping) else []
        if len(entries) != 1 or not isinstance(entries[0], Mapping):
            return ()
        if spelt == text and not is_ended:
            return tuple(log_probs)
        log_probs.append(float(entries[0].get("logprob", "nan")))
        if spelt == text:
            return tuple(log_probs)
        spelt += str(entries[0].get("decoded_token"))
        if not text.startswith(spelt):
            return ()
    return tuple(log_probs) if spelt == text and not is_ended else ()
