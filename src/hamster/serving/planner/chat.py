"""Chat completions: OpenAI's request to a prompt and sampling parameters, completions to OpenAI's response."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from hamster.planner.backend import Backend, Completion, GenerationRequest, SamplingParams, TokenCallback
from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.errors import invalid
from hamster.serving.planner.images import EncodedImage, encoded_image_from_text


@dataclass(frozen=True, eq=False)
class GenerateBatch:
    """A `BatchFn` that generates completions; equal ones share batches.

    Requests with a seed are not batched, as results depend on the batch.
    """

    backend: Backend
    sampling: SamplingParams

    def __call__(self, requests: Sequence[GenerationRequest], on_token: TokenCallback) -> list[list[Completion]]:
        """Return the completions of each request."""
        return self.backend.generate(requests, self.sampling, on_token)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GenerateBatch) or self.sampling.seed is not None:
            return self is other
        return self.backend is other.backend and self.sampling == other.sampling

    def __hash__(self) -> int:
        return hash(self.sampling)


@dataclass(frozen=True)
class Defaults:
    """Sampling parameters of a route where a request has none."""

    max_tokens: int
    temperature: float
    top_p: float


OPENAI = Defaults(512, 1.0, 1.0)
HAMSTER_BETA = Defaults(512, 0.2, 0.9)


def sampling_params_for(
    request: ChatRequest, defaults: Defaults, limits: PlannerLimits, formats: Sequence[str] = ("text",)
) -> SamplingParams:
    """Return the sampling parameters of a request.

    Args:
        request: of the client.
        defaults: of the route.
        limits: on n and max_tokens.
        formats: values of response_format.type that are supported.

    Raises:
        ServeError: for what is not supported, or beyond the limits.
    """
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
        return SamplingParams(
            max_tokens, temperature, request.top_p or defaults.top_p, n, request.seed, request.regex,
            return_token_strings=bool(request.logprobs), may_refuse=request.abstains is not False,
        )  # fmt: skip
    except ValueError as error:
        raise invalid(str(error), code="invalid_field") from None


def parse_chat(request: ChatRequest, limits: PlannerLimits) -> tuple[str, EncodedImage | None]:
    """Return the text and the image of a request's only message; ServeError if it has more."""
    if len(request.messages) != 1 or request.messages[0].role != "user":
        raise invalid(
            "ask in one message of the role user; this model keeps no conversation", "messages", "unsupported"
        )
    if request.prompt_logprobs is not None or request.add_generation_prompt is False:
        raise invalid("only vLLM has log-probabilities of a prompt", "prompt_logprobs", "unsupported")
    turn = request.messages[0]
    if len(turn.text) > limits.characters:
        raise invalid(f"at most {limits.characters} characters are read", "messages", "too_long")
    if len(turn.images) > 1:
        raise invalid("at most one image is looked at", "messages", "unsupported")
    image = encoded_image_from_text(turn.images[0], limits, "messages") if turn.images else None
    if image is None and not turn.text.strip():
        raise invalid("the question is empty", "messages", "invalid_field")
    return turn.text, image


def chat_completion(completions: Sequence[Completion], model: str, request: ChatRequest) -> dict[str, Any]:
    """Return a chat completion in OpenAI's form.

    Args:
        completions: of one request.
        model: its name, as the client knows it.
        request: of the client.
    """
    return _head("chat.completion", model) | {
        "choices": [
            {
                "index": i,
                "message": {"role": "assistant", "content": completion.text, "refusal": None},
                "finish_reason": completion.finish_reason,
                "logprobs": _logprobs(completion) if request.logprobs else None,
                **(_confidence(completion) if request.logprobs else {}),
            }
            for i, completion in enumerate(completions)
        ],
        "usage": usage(completions),
    }


def usage(completions: Sequence[Completion]) -> dict[str, int]:
    """Count the tokens of one prompt and all its completions."""
    prompt, generated = completions[0].prompt_tokens, sum(completion.tokens for completion in completions)
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


class CompletionChunks:
    """The chunks of a streamed completion, as server-sent events."""

    def __init__(self, model: str, n: int) -> None:
        self._head = _head("chat.completion.chunk", model)
        self._sent = [""] * n

    def begin(self) -> list[bytes]:
        """Return the chunks that state the role."""
        return [self._choice(i, {"role": "assistant", "content": ""}) for i in range(len(self._sent))]

    def more(self, texts: Sequence[str], final: bool = False) -> list[bytes]:
        """Return chunks of what is new in these texts; an incomplete character waits for the rest of its bytes."""
        chunks = []
        for i, text in enumerate(texts):
            whole = text if final else text.rstrip("\ufffd")
            if whole.startswith(self._sent[i]) and len(whole) > len(self._sent[i]):
                chunks.append(self._choice(i, {"content": whole[len(self._sent[i]) :]}))
                self._sent[i] = whole
        return chunks

    def end(self, completions: Sequence[Completion], with_usage: bool, with_logprobs: bool) -> list[bytes]:
        """Return the last chunks: the rest of the texts, finish reasons, log-probabilities and usage if requested."""
        chunks = self.more([completion.text for completion in completions], final=True)
        for i, completion in enumerate(completions):
            more = {"logprobs": _logprobs(completion)} if with_logprobs else {}
            chunks.append(self._choice(i, {}, completion.finish_reason, more))
        if with_usage:
            chunks.append(event(self._head | {"choices": [], "usage": usage(completions)}))
        return [*chunks, b"data: [DONE]\n\n"]

    def _choice(
        self, index: int, delta: Mapping[str, Any], finish: str | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": index, "delta": dict(delta), "finish_reason": finish, **(more or {})}
        return event(self._head | {"choices": [choice]})


def check_regex(regex: str) -> None:
    """Check that llguidance accepts a regular expression before a batch depends on it; ServeError if not."""
    from llguidance import LLMatcher, grammar_from

    complaint = LLMatcher.validate_grammar(grammar_from("regex", regex))
    if complaint:
        raise invalid(f"structured_outputs.regex: {complaint}", "structured_outputs", "invalid_field")


def event(value: Any) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _confidence(completion: Completion) -> dict[str, float]:
    """Return our own field; `certainty` is its name until 0.2, which older clients of ours read."""
    value = completion.confidence
    return {} if value is None else {"confidence": value, "certainty": value}


def _logprobs(completion: Completion) -> dict[str, Any]:
    """Return OpenAI's record; a backend that has no token strings leaves them empty."""
    strings = completion.token_strings or ("",) * len(completion.log_probs)
    tokens: list[dict[str, Any]] = [
        {
            "token": string,
            "logprob": log_prob,
            "bytes": list(string.encode("utf-8", "replace")) if completion.token_strings else None,
            "top_logprobs": [],
        }
        for string, log_prob in zip(strings, completion.log_probs, strict=True)
    ]
    return {"content": tokens, "refusal": None}
