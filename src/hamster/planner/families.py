"""What differs between planners: how they are asked, what their answers look like, how decoding is constrained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hamster.path.dialects import hamster


def _free(prompt_length: int) -> list[Any]:
    return []


def _answer_grammar(prompt_length: int) -> list[Any]:
    from hamster.nano.grammar import AnswerGrammar

    return [AnswerGrammar(prompt_length)]


@dataclass(frozen=True)
class Family:
    """How to talk to a model.

    Attributes:
        prompt: with a place for `{instruction}`.
        dialect: of `hamster.path.dialects` in which it answers.
        max_new_tokens: after which an answer is cut off.
        constraints: from the prompt's length in tokens to transformers' logits processors.
    """

    prompt: str = hamster.PROMPT
    dialect: str = "hamster"
    max_new_tokens: int = 256
    constraints: Callable[[int], list[Any]] = _free


FAMILIES: Mapping[str, Family] = {
    "hamster_nano": Family("{instruction}", "nano", 32, _answer_grammar),
}
"""By transformers' model type; every other type is asked in HAMSTER's words and answers in HAMSTER's text."""


def family_of(model_type: str) -> Family:
    """The family of a model type."""
    return FAMILIES.get(model_type, Family())
