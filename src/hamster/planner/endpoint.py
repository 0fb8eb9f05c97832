"""A vision-language model behind an endpoint that speaks OpenAI's protocol, by OpenAI's own client.

vLLM, `transformers serve`, `hamster serve planner`, hosted models, and HAMSTER_beta's server, which has no /v1 and puts
its answer into a list. What a server does not support (log-probabilities, grammars, n > 1) is done without.
"""

from __future__ import annotations

import base64
import io
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

import openai
from PIL import Image

from hamster.dialects import DIALECTS, Size, close_truncated
from hamster.path import PlanError
from hamster.planner import rescoring
from hamster.planner.backend import Completion, GenerationRequest, SamplingParams, TokenCallback
from hamster.planner.calibration import Calibration
from hamster.planner.endpoint_errors import not_openai_reply, translate_error
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.planner.families import ImageScaling
from hamster.planner.prompts import PromptConfig
from hamster.proxies import client_options

T = TypeVar("T")

TAKES_REGEX = frozenset({"vllm", "hamster"})  # values of owned_by whose servers take structured_outputs
TIMEOUT_S = 120.0
CONNECT_S = LIST_S = 10.0  # which a busy server does at once, too
RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
MAX_PAUSE_S = 20.0  # however long its Retry-After is
NO_LIST_STATUS = frozenset({400, 403, 404, 405, 501})  # of servers that do not list their models
FAILED_REASONS = frozenset({"error", "abort"})  # finish reasons of answers that the server could not finish
# Special tokens of common chat templates; which of them a server uses is not known here.
_SPECIAL_TOKEN = re.compile(
    r"<\|[^<>|]{0,40}\|>|</?(?:s|bos|eos|pad|unk|image|video|start_of_\w{1,8}|end_of_\w{1,10})>|\[/?INST\]"
)


class EndpointBackend:
    """Sends requests to a server, with a few retries while it is unavailable.

    Args:
        url: of the API, as OpenAI's client wants it: what /chat/completions follows.
        model: its name there; "" takes the only one that the server lists.
        api_key: by default that in the environment variable OPENAI_API_KEY, if any.
        timeout_s: for one answer.
        lossless: PNG instead of JPEG.
        preprocess: applied to an image before it is sent, if given.
        workers: requests at a time.

    Raises:
        ValueError: if the environment names a proxy that cannot be used.
    """

    def __init__(
        self, url: str, model: str = "", api_key: str | None = None, timeout_s: float = TIMEOUT_S,
        lossless: bool = True, workers: int = 8, preprocess: Callable[[Image.Image], Image.Image] | None = None,
    ) -> None:  # fmt: skip
        key = api_key or os.environ.get("OPENAI_API_KEY") or "none"
        self.url, self.lossless, self.workers, self._preprocess = url, lossless, workers, preprocess
        http: Any = openai.DefaultHttpxClient(**client_options(url))
        timeout = openai.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
        self._client: Any = openai.OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=0, http_client=http)
        self._model, self._timeout_s = model, timeout_s
        self._has_refused_extras = False  # fields that only some servers know
        self._has_answered = False
        self._has_timed_out = False  # at the last request

    @classmethod
    def at(cls, address: str, **options: Any) -> EndpointBackend:
        """Create a backend from http://HOST:PORT/v1#MODEL."""
        url, _, model = address.partition("#")
        return cls(url.rstrip("/"), model, **options)

    @cached_property
    def name(self) -> str:
        """The model's name there; PlannerConfigurationError if the server lists none, or several."""
        if self._model:
            return self._model
        names = [model.id for model in self._models]
        if len(names) != 1:
            there = ", ".join(names[:10]) or "none that it would name"
            raise PlannerConfigurationError(
                f"{self.url} has several models or none ({there}): name one, as {self.url}#MODEL"
            )
        return str(names[0])

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None = None
    ) -> list[list[Completion]]:
        """See `Backend.generate`; log-probabilities are those that the server states. `on_token` is not called."""
        name = self.name  # requested once, before there are threads
        if self._has_timed_out:
            self._check_awake()
        with ThreadPoolExecutor(min(self.workers, max(1, len(requests)))) as pool:
            return list(pool.map(lambda request: self._completions(name, request, sampling), requests))

    def scaled_size(self, size: Size, dialect: str) -> Size:
        """Return the size at which the model there sees an image, for a dialect that counts pixels.

        Args:
            size: of the image, width and height in pixels.
            dialect: of the answers.

        Raises:
            PlannerConfigurationError: if the dialect counts those of the scaled image, and the server does not state
                how it scales.
        """
        stated = self.stated.get("scaling")
        if isinstance(stated, dict):
            return _image_scaling(stated, self.url)(size)
        if DIALECTS[dialect].frame == "scaled image's pixels":
            raise PlannerConfigurationError(
                f"{dialect} counts pixels of the image as the model sees it, and {self.url} does not say how it scales "
                "images; serve the model by hamster serve planner, or take a dialect of relative coordinates"
            )
        return size

    @property
    def stated(self) -> dict[str, Any]:
        """What the server's list states about the model, without what changes from one request to the next."""
        entry = next((model for model in self._models if model.id == self.name), None)
        record: dict[str, Any] = {} if entry is None else entry.model_dump(mode="json", warnings=False)
        return {name: value for name, value in record.items() if name not in ("created", "permission", "object")}

    @property
    def prompt_config(self) -> PromptConfig | None:
        """The prompt and dialect that the server states, as our own does; None where it states none.

        Raises:
            PlannerConfigurationError: if that is a dialect which is not known here.
        """
        stated = self.stated
        if "dialect" not in stated:
            return None
        try:
            return PromptConfig(str(stated["dialect"]), str(stated.get("prompt") or ""), stated.get("abstains") is True)
        except ValueError as error:
            raise PlannerConfigurationError(f"{self.url} states how its model is prompted, but: {error}") from None

    @property
    def calibration(self) -> Calibration:
        """The calibration that the server states; one that changes nothing where it states none.

        Raises:
            PlannerConfigurationError: if that cannot be read.
        """
        try:
            return Calibration(**self.stated.get("calibration", {}))
        except (TypeError, ValueError) as error:
            raise PlannerConfigurationError(f"{self.url} states the calibration of its scores, but: {error}") from None

    @cached_property
    def _models(self) -> list[Any]:
        """The models that the server lists; empty for one that has no list, as HAMSTER_beta's."""
        client = self._client.with_options(timeout=min(self._timeout_s, LIST_S))

        def list_models() -> list[Any]:
            try:
                return [model for model in client.models.list().data if isinstance(model.id, str)]
            except openai.APIStatusError as error:
                if error.status_code in NO_LIST_STATUS:
                    return []
                raise

        return self._with_retries(list_models)

    def _check_awake(self) -> None:
        """Raise PlannerUnavailableError within seconds, rather than another time-out, if the server is still silent."""
        try:
            self._client.with_options(timeout=min(self._timeout_s, LIST_S)).models.list()
        except openai.APIConnectionError as error:
            raise translate_error(self.url, error, LIST_S, self._has_answered) from None
        except (openai.APIError, ValueError, TypeError, AttributeError):  # whatever the reply is, the server is awake
            pass
        self._has_timed_out = False

    def _with_retries(self, send: Callable[[], T]) -> T:
        """Call `send`; while the server is unavailable, again a few times, after ever longer pauses."""
        for pause_s in RETRY_PAUSES_S:
            try:
                return self._attempt(send)
            except PlannerUnavailableError as error:
                if error.is_timeout:
                    raise
                time.sleep(min(max(pause_s, error.retry_after_s or 0.0), MAX_PAUSE_S))
        return self._attempt(send)

    def _attempt(self, send: Callable[[], T]) -> T:
        """Call `send`, with the client's errors translated into ours."""
        try:
            return send()
        except openai.APITimeoutError as error:
            self._has_timed_out = True
            raise translate_error(self.url, error, self._timeout_s, self._has_answered) from None
        except openai.APIError as error:
            raise translate_error(self.url, error, self._timeout_s, self._has_answered) from None
        except (PlanError, PlannerConfigurationError):
            raise
        except (ValueError, TypeError, AttributeError, RecursionError):  # not the JSON that the protocol promises
            raise not_openai_reply(self.url) from None

    def _completions(self, name: str, request: GenerationRequest, sampling: SamplingParams) -> list[Completion]:
        completions: list[Completion] = []
        while len(completions) < sampling.n:  # some servers return one, whatever n is
            seed = None if sampling.seed is None else sampling.seed + len(completions)
            missing = replace(sampling, n=sampling.n - len(completions), seed=seed)
            completions += self._with_retries(partial(self._chat, name, request, missing))
        return completions[: sampling.n]

    def _chat(self, name: str, request: GenerationRequest, sampling: SamplingParams) -> list[Completion]:
        body: dict[str, Any] = {
            "model": name, "messages": [{"role": "user", "content": self._content(request)}],
            "max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
        }  # fmt: skip
        completions = self._parse(self._create(body, self._extras(sampling)), sampling)
        self._has_answered = True
        if sampling.grammar and self._is_vllm:
            completions = [replace(answer, log_probs=self._rescored(body, answer)) for answer in completions]
        return [_closed(answer, sampling) for answer in completions]

    def _create(self, body: dict[str, Any], extras: dict[str, Any]) -> Any:
        """Return the reply; a server that refuses the extra fields gets requests without them from then on."""
        if not self._has_refused_extras:
            try:
                return self._client.chat.completions.create(**body, **extras)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                pass
        reply = self._client.chat.completions.create(**body)
        self._has_refused_extras = True
        return reply

    def _rescored(self, body: dict[str, Any], answer: Completion) -> tuple[float, ...]:
        """Return the model's own log-probabilities of an answer, without the grammar; () if the server has none."""
        turn = {"role": "assistant", "content": answer.text}
        with_answer = body | {"messages": [*body["messages"], turn], "max_tokens": 1, "temperature": 0}
        try:
            reply = self._client.chat.completions.create(**with_answer, extra_body=dict(rescoring.FIELDS))
        except openai.BadRequestError:  # no room for one more token, or an older vLLM
            return ()
        return rescoring.answer_log_probs(
            getattr(reply, "prompt_logprobs", None), answer.prompt_tokens, answer.text, answer.finish_reason == "stop"
        )

    @property
    def _is_vllm(self) -> bool:
        return any("vllm" in (model.owned_by, getattr(model, "chats", None)) for model in self._models)

    def _extras(self, sampling: SamplingParams) -> dict[str, Any]:
        """Return the fields that only some servers know."""
        extras: dict[str, Any] = {"n": sampling.n, "logprobs": True}
        if sampling.seed is not None:
            extras["seed"] = sampling.seed
        body: dict[str, Any] = {}
        if sampling.grammar and self._takes_regex:
            body["structured_outputs"] = {"regex": sampling.grammar}
        if not sampling.may_refuse and self.stated.get("refusals") == "optional":
            body["abstains"] = False
        return extras | ({"extra_body": body} if body else {})

    @property
    def _takes_regex(self) -> bool:
        """Whether the server holds answers to a regular expression; our own states it of each model."""
        return (
            self.stated.get("structured_outputs", any(model.owned_by in TAKES_REGEX for model in self._models)) is True
        )

    def _content(self, request: GenerationRequest) -> list[dict[str, Any]]:
        text = _SPECIAL_TOKEN.sub(lambda match: " ".join(match.group()), request.text)
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if request.image is None:
            return parts
        file = io.BytesIO()
        image = Image.fromarray(request.image)
        image = image if self._preprocess is None else self._preprocess(image)
        image.save(file, "PNG" if self.lossless else "JPEG", quality=95, compress_level=1)
        kind = "png" if self.lossless else "jpeg"
        data = base64.b64encode(file.getvalue()).decode()
        return [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}, *parts]

    def _parse(self, reply: Any, sampling: SamplingParams) -> list[Completion]:
        """Parse a reply; PlannerUnavailableError if it has no choices, PlanError if one has no text."""
        usage = getattr(reply, "usage", None)
        prompt_tokens, tokens = (getattr(usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens"))
        choices = getattr(reply, "choices", None) or []
        if not isinstance(choices, list) or not choices:
            raise not_openai_reply(self.url)
        return [self._parse_choice(choice, prompt_tokens, tokens // len(choices), sampling) for choice in choices]

    def _parse_choice(self, choice: Any, prompt_tokens: int, tokens: int, sampling: SamplingParams) -> Completion:
        reason = getattr(choice, "finish_reason", None)
        if reason in FAILED_REASONS:
            raise PlannerUnavailableError(f"{self.url} broke off its answer: {reason}")
        text = _text(getattr(getattr(choice, "message", None), "content", None))
        if text is None:
            raise PlanError(f"{self.url} gave an answer without text")
        logged = getattr(getattr(choice, "logprobs", None), "content", None) or []
        log_probs = tuple(float(token.logprob) for token in logged)
        strings = tuple(str(getattr(token, "token", "")) for token in logged) if sampling.return_token_strings else ()
        finish_reason: Literal["stop", "length"] = "length" if reason == "length" else "stop"
        return Completion(
            text, log_probs, finish_reason, prompt_tokens, len(log_probs) or tokens, _confidence(choice), strings
        )


def _confidence(choice: Any) -> float | None:
    """Return what our own server states of models that have one; until 0.2 it was called certainty."""
    value = getattr(choice, "confidence", getattr(choice, "certainty", None))
    return value if isinstance(value, float) and 0 <= value <= 1 else None


def _closed(answer: Completion, sampling: SamplingParams) -> Completion:
    """Return an answer that was cut off ended after its last whole waypoint."""
    if answer.finish_reason != "length" or not (sampling.grammar and sampling.closing):
        return answer
    return replace(answer, text=close_truncated(answer.text, sampling.grammar, sampling.closing) or answer.text)


def _image_scaling(stated: dict[str, Any], url: str) -> ImageScaling:
    try:
        return ImageScaling(**stated)
    except (TypeError, ValueError):
        raise PlannerConfigurationError(f"{url} says how it scales images in a way that cannot be read") from None


def _text(content: Any) -> str | None:
    """Return a message's text; HAMSTER_beta's server sends a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else getattr(part, "text", None) for part in content]
    return "".join(part for part in parts if isinstance(part, str)) if parts else None
