"""A chat request becomes a question; answers become what OpenAI's clients read."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from hamster.planner.backend import Answer, Backend, Question, Sampling
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.errors import invalid
from hamster.serving.planner.images import Picture, picture_from_text
from hamster.serving.planner.limits import Limits


@dataclass(frozen=True, eq=False)
class Asking:
    """Has a backend answer questions; equal ones share batches. With a seed each is on its own, as batches matter."""

    backend: Backend
    sampling: Sampling

    def __call__(self, questions: Sequence[Question]) -> list[list[Answer]]:
        """The answers to each question."""
        return self.backend.answer(questions, self.sampling)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Asking) or self.sampling.seed is not None:
            return self is other
        return self.backend is other.backend and self.sampling == other.sampling

    def __hash__(self) -> int:
        return hash(self.sampling)


@dataclass(frozen=True)
class Defaults:
    """What a route does where a request does not say."""

    max_tokens: int
    temperature: float
    top_p: float


OPENAI = Defaults(512, 1.0, 1.0)
HAMSTER_BETA = Defaults(512, 0.2, 0.9)


def sampling_of(
    request: ChatRequest, defaults: Defaults, limits: Limits, formats: Sequence[str] = ("text",)
) -> Sampling:
    """How the answers are to be drawn; ServeError for what cannot be had."""
    if request.response_format is not None and request.response_format.type not in formats:
        raise invalid(
            f"{', '.join(formats)} can be had; structured_outputs takes a regex", "response_format", "unsupported"
        )
    n, max_tokens = request.n or 1, request.limit or min(defaults.max_tokens, limits.max_tokens)
    if n > limits.samples:
        raise invalid(f"n is at most {limits.samples}", "n", "invalid_field")
    if max_tokens > limits.max_tokens:
        raise invalid(f"max_tokens is at most {limits.max_tokens}", "max_tokens", "invalid_field")
    temperature = defaults.temperature if request.temperature is None else request.temperature
    try:
        return Sampling(
            max_tokens, temperature, request.top_p or defaults.top_p, n, request.seed, request.regex,
            pieces=bool(request.logprobs), may_refuse=request.abstains is not False,
        )  # fmt: skip
    except ValueError as error:
        raise invalid(str(error), code="invalid_field") from None


def question_of(request: ChatRequest, limits: Limits) -> tuple[str, Picture | None]:
    """The words and the image of the one turn that is asked; ServeError if there are more."""
    if len(request.messages) != 1 or request.messages[0].role != "user":
        raise invalid(
            "ask in one message of the role user; this model keeps no conversation", "messages", "unsupported"
        )
    if request.prompt_logprobs is not None or request.add_generation_prompt is False:
        raise invalid("only vLLM tells what it thinks of a prompt", "prompt_logprobs", "unsupported")
    turn = request.messages[0]
    if len(turn.text) > limits.characters:
        raise invalid(f"at most {limits.characters} characters are read", "messages", "too_long")
    if len(turn.images) > 1:
        raise invalid("at most one image is looked at", "messages", "unsupported")
    image = picture_from_text(turn.images[0], limits, "messages") if turn.images else None
    if image is None and not turn.text.strip():
        raise invalid("the question is empty", "messages", "invalid_field")
    return turn.text, image


def completion(answers: Sequence[Answer], model: str, request: ChatRequest) -> dict[str, Any]:
    """A chat completion."""
    return _head("chat.completion", model) | {
        "choices": [
            {
                "index": i,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "finish_reason": answer.finish,
                "logprobs": _log_probabilities(answer) if request.logprobs else None,
                **({"certainty": answer.certainty} if answer.certainty is not None and request.logprobs else {}),
            }
            for i, answer in enumerate(answers)
        ],
        "usage": usage(answers),
    }


def usage(answers: Sequence[Answer]) -> dict[str, int]:
    """Tokens of one question and all its answers."""
    prompt, said = answers[0].prompt_tokens, sum(answer.tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


class Chunks:
    """The pieces of a streamed completion, as server-sent events."""

    def __init__(self, model: str, n: int) -> None:
        self._head = _head("chat.completion.chunk", model)
        self._said = [""] * n

    def begin(self) -> list[bytes]:
        """Who speaks."""
        return [self._choice(i, {"role": "assistant", "content": ""}) for i in range(len(self._said))]

    def more(self, texts: Sequence[str], final: bool = False) -> list[bytes]:
        """What is new in these texts; half a character waits for its other half."""
        chunks = []
        for i, text in enumerate(texts):
            whole = text if final else text.rstrip("\ufffd")
            if whole.startswith(self._said[i]) and len(whole) > len(self._said[i]):
                chunks.append(self._choice(i, {"content": whole[len(self._said[i]) :]}))
                self._said[i] = whole
        return chunks

    def end(self, answers: Sequence[Answer], with_usage: bool, log_p: bool) -> list[bytes]:
        """The rest of the texts, why they ended, and how many tokens there were."""
        chunks = self.more([answer.text for answer in answers], final=True)
        for i, answer in enumerate(answers):
            more = {"logprobs": _log_probabilities(answer)} if log_p else {}
            chunks.append(self._choice(i, {}, answer.finish, more))
        if with_usage:
            chunks.append(event(self._head | {"choices": [], "usage": usage(answers)}))
        return [*chunks, b"data: [DONE]\n\n"]

    def _choice(
        self, index: int, delta: Mapping[str, Any], finish: str | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": index, "delta": dict(delta), "finish_reason": finish, **(more or {})}
        return event(self._head | {"choices": [choice]})


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _log_probabilities(answer: Answer) -> dict[str, Any]:
    """OpenAI's shape; a backend that does not tell an answer's tokens apart leaves their texts empty."""
    pieces = answer.pieces or ("",) * len(answer.log_p)
    tokens: list[dict[str, Any]] = [
        {
            "token": piece,
            "logprob": value,
            "bytes": list(piece.encode("utf-8", "replace")) if answer.pieces else None,
            "top_logprobs": [],
        }
        for piece, value in zip(pieces, answer.log_p, strict=True)
    ]
    return {"content": tokens, "refusal": None}
