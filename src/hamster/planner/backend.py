"""What answers a planner's questions: a model in this process, or one behind an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Question:
    """An image (H, W, 3) uint8, or None, and what is asked about it: the whole text of the user's turn."""

    image: NDArray[np.uint8] | None
    text: str


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        max_new_tokens: after which an answer is cut off.
        temperature: 0 is greedy; else 0.001 to 100, as logits divided by less overflow.
        top_p: nucleus, in (0, 1].
        n: answers to each question; with temperature 0 there can only be one.
        seed: of the samples; the same seed, questions and batch give the same answers.
        grammar: a regular expression (in llguidance's syntax: write [0-9], bound repetitions) that every answer
            matches whole; "" for none.
        closing: what ends an answer in this grammar: one that is cut off ends with it, after the last place where that
            matches, so that it matches, too. "" leaves it as it is.
        pieces: whether each token's own text shall come with an answer.
        may_refuse: whether a model that decides by itself that nothing is in view may say so.

    Raises:
        ValueError: for numbers that make no sense.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    grammar: str = ""
    closing: str = ""
    pieces: bool = False
    may_refuse: bool = True

    def __post_init__(self) -> None:
        if not (self.max_new_tokens >= 1 and 0 < self.top_p <= 1 and self.n >= 1):
            raise ValueError("need max_new_tokens >= 1, 0 < top_p <= 1 and n >= 1")
        if self.temperature != 0 and not 1e-3 <= self.temperature <= 100:
            raise ValueError(f"temperature must be 0 (greedy) or 0.001 to 100, got {self.temperature:g}")
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n = {self.n} answers at temperature 0 are all the same; give a temperature > 0")


@dataclass(frozen=True)
class Answer:
    """A model's text.

    Attributes:
        text: without the turn's end marks.
        log_p: natural logarithm of each of its tokens' probability under the model; empty where a backend does not say.
        finish: "stop" where the model ended it, "length" where it was cut off.
        certainty: how sure the model is that the answer is right, in [0, 1], where its kind can tell better than by
            the probabilities of its tokens.
        prompt_tokens, tokens: in the question (with image tokens) and in this answer; 0 where a backend does not say.
        pieces: the text of each of the tokens of `log_p`, the end mark's too, where they were asked for.
    """

    text: str
    log_p: tuple[float, ...] = ()
    finish: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    certainty: float | None = None
    pieces: tuple[str, ...] = ()


class Backend(Protocol):
    """A vision-language model that can be asked many questions at once."""

    @property
    def name(self) -> str:
        """What a user calls the model."""
        ...

    def answer(self, questions: Sequence[Question], sampling: Sampling) -> list[list[Answer]]:
        """`sampling.n` answers to each question, in order.

        Raises:
            PlanError: if a question cannot be asked, because it is too long for the model.
            PlannerUnavailableError: if the model cannot be asked now.
            PlannerConfigurationError: if it will never answer as it is asked.
        """
        ...
