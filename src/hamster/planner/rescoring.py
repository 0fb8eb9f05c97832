"""What a model behind vLLM thinks of an answer that a grammar held it to.

vLLM forbids tokens before it takes logarithms, in every `--logprobs-mode`: what it says of a constrained answer is how
likely that was among what was allowed. Of the tokens of a prompt it says what the model thinks. So the answer is sent
again, as if it had been said before, and its tokens are looked up there: one more reading, no more writing.
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


def template_of(template: str, end: str) -> str:
    """A chat template that tells a conversation with its last answer as the model had it: what it was asked, as it was
    asked, then its words and the mark that ends them. Many say past turns in another way, with a space or less thought.

    Args:
        template: the checkpoint's own.
        end: the mark.
    """
    return _BEFORE + template + _AFTER % json.dumps(end)


def log_p_of(listed: object, prompt_tokens: int, text: str, is_ended: bool) -> tuple[float, ...]:
    """The natural logarithm of each of an answer's tokens' probability, its end mark's last; () if it is not there.

    Args:
        listed: `prompt_logprobs` of the conversation with the answer.
        prompt_tokens: in the question alone.
        text: the answer.
        is_ended: whether the model ended it, rather than running out of tokens.
    """
    said, found = "", list[float]()
    for token in listed[prompt_tokens:] if isinstance(listed, Sequence) else ():
        entries = list(token.values()) if isinstance(token, Mapping) else []
        if len(entries) != 1 or not isinstance(entries[0], Mapping):
            return ()
        if said == text and not is_ended:
            return tuple(found)
        found.append(float(entries[0].get("logprob", "nan")))
        if said == text:
            return tuple(found)
        said += str(entries[0].get("decoded_token"))
        if not text.startswith(said):
            return ()
    return tuple(found) if said == text and not is_ended else ()
