"""The interface to a vision-language model, in this process or behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

TokenCallback = Callable[[Callable[[int], str], Sequence[int]], Sequence[bool]]
"""Called after each generated token with `text_of` and `request_of_row`. `text_of(row)` decodes what that row (one
completion of the batch) says so far; `request_of_row[row]` is the index of the request that the row belongs to. Returns
for each row whether its generation can stop."""


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """One prompt.

    Attributes:
        image: (H, W, 3) uint8 RGB, or None.
        text: the whole text of the user's turn.
    """

    image: NDArray[np.uint8] | None
    text: str


@dataclass(frozen=True)
class SamplingParams:
    """How completions are sampled.

    Attributes:
        max_new_tokens: after which a completion is cut off.
        temperature: 0 is greedy; else 0.001 to 100, as logits divided by less overflow.
        top_p: nucleus, in (0, 1].
        n: completions of each request; with temperature 0 there can only be one.
        seed: of the samples; the same seed, requests and batch give the same completions.
        grammar: a regular expression (in llguidance's syntax: write [0-9], bound repetitions) that every completion
            matches whole; "" for none.
        closing: what ends a completion in this grammar: one that is cut off ends with it, after the last place where
            that matches, so that it matches, too. "" leaves it as it is.
        return_token_strings: whether completions come with the text of each of their tokens.
        may_refuse: whether a model that decides by itself that nothing is in view may say so.

    Raises:
        ValueError: for numbers out of range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    grammar: str = ""
    closing: str = ""
    return_token_strings: bool = False
    may_refuse: bool = True

    def __post_init__(self) -> None:
        if not (self.max_new_tokens >= 1 and 0 < self.top_p <= 1 and self.n >= 1):
            raise ValueError("need max_new_tokens >= 1, 0 < top_p <= 1 and n >= 1")
        if self.temperature != 0 and not 1e-3 <= self.temperature <= 100:
            raise ValueError(f"temperature must be 0 (greedy) or 0.001 to 100, got {self.temperature:g}")
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n = {self.n} answers at temperature 0 are all the same; give a temperature > 0")


@dataclass(frozen=True)
class Completion:
    """A generated text.

    Attributes:
        text: without the turn's end marks.
        log_probs: natural logarithm of each token's probability under the model; empty where a backend has none.
        finish_reason: "stop" where the model ended it, "length" where it was cut off.
        prompt_tokens, tokens: in the request (with image tokens) and in this completion; 0 where unknown.
        confidence: the model's own estimate, in [0, 1], that the completion is right, where its kind has one that is
            better than the probabilities of its tokens.
        token_strings: the text of each token of `log_probs`, the end mark's too, if it was requested.
        height_m: estimated height of each waypoint of the answer, metres above the table; empty where the model gives
            none.
    """

    text: str
    log_probs: tuple[float, ...] = ()
    finish_reason: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    confidence: float | None = None
    token_strings: tuple[str, ...] = ()
    height_m: tuple[float, ...] = ()


class Backend(Protocol):
    """A vision-language model that completes several prompts at once."""

    @property
    def name(self) -> str:
        """What a user calls the model."""
        ...

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None = None
    ) -> list[list[Completion]]:
        """Return `sampling.n` completions of each request, in order.

        Args:
            requests: the prompts.
            sampling: the same for all of them.
            on_token: called after each token by backends that generate token by token; others may ignore it.

        Raises:
            PlanError: if a prompt is too long for the model.
            PlannerUnavailableError: if the model cannot be reached now.
            PlannerConfigurationError: if it will never answer requests of this kind.
        """
        ...


def for_subset(on_token: TokenCallback | None, indices: Sequence[int]) -> TokenCallback | None:
    """Return the callback for a backend that is given only some of the requests: those of these indices."""
    if on_token is None:
        return None
    return lambda text_of, request_of_row: on_token(text_of, [indices[request] for request in request_of_row])
