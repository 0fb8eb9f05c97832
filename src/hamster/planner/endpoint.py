"""A vision-language model behind an endpoint that speaks OpenAI's protocol, by OpenAI's own client.

vLLM, `transformers serve`, `hamster serve planner`, hosted models, and HAMSTER_beta's server, which has no /v1 and puts
its answer into a list. What a server does not know (log-probabilities, grammars, several answers) is done without.
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
from functools import cached_property
from typing import Any, Literal, TypeVar

import openai
from PIL import Image

from hamster.dialects import DIALECTS, Size, closed
from hamster.path import PlanError
from hamster.planner import rescoring
from hamster.planner.backend import Answer, Question, Sampling
from hamster.planner.calibration import Calibration
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.planner.failures import failure, no_answer
from hamster.planner.families import Scaling
from hamster.planner.prompts import Speech
from hamster.proxies import client_options

T = TypeVar("T")

CONSTRAINED = frozenset({"vllm", "hamster"})  # who, as the owner of its models, takes structured_outputs
TIMEOUT_S = 120.0
CONNECT_S = LIST_S = 10.0  # what a busy server does at once, too
PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # before an unavailable server is asked again
LONGEST_PAUSE_S = 20.0  # however much later it wants to be asked
UNLISTED = frozenset({400, 403, 404, 405, 501})  # from a server that does not list its models
BROKEN_OFF = frozenset({"error", "abort"})  # why an answer ended that the server could not finish
# What chat templates of common models mark turns and images with; which of them a server uses is not known here.
_MARK = re.compile(
    r"<\|[^<>|]{0,40}\|>|</?(?:s|bos|eos|pad|unk|image|video|start_of_\w{1,8}|end_of_\w{1,10})>|\[/?INST\]"
)


class EndpointBackend:
    """Asks a server. One that is unavailable is asked again a few times; after that it is the caller's to try later.

    Args:
        url: of the API, as OpenAI's client wants it: what /chat/completions follows.
        model: its name there; "" takes the only one that the server lists.
        api_key: by default that in the environment variable OPENAI_API_KEY, if any.
        timeout_s: for one answer.
        lossless: PNG instead of JPEG.
        prepare: what is done to an image before it is sent, if anything.
        workers: questions that are under way at a time.

    Raises:
        ValueError: if the environment names a proxy that cannot be used.
    """

    def __init__(
        self, url: str, model: str = "", api_key: str | None = None, timeout_s: float = TIMEOUT_S,
        lossless: bool = True, workers: int = 8, prepare: Callable[[Image.Image], Image.Image] | None = None,
    ) -> None:  # fmt: skip
        key = api_key or os.environ.get("OPENAI_API_KEY") or "none"
        self.url, self.lossless, self.workers, self._prepare = url, lossless, workers, prepare
        http: Any = openai.DefaultHttpxClient(**client_options(url))
        timeout = openai.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
        self._client: Any = openai.OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=0, http_client=http)
        self._model, self._timeout_s = model, timeout_s
        self._plain = False  # whether the server refused what only some know
        self._has_answered = False
        self._is_silent = False  # whether it let the last time-out pass

    @classmethod
    def at(cls, address: str, **options: Any) -> EndpointBackend:
        """From http://HOST:PORT/v1#MODEL."""
        url, _, model = address.partition("#")
        return cls(url.rstrip("/"), model, **options)

    @cached_property
    def name(self) -> str:
        """What the model is called there; PlannerConfigurationError if nobody says, or several are there."""
        if self._model:
            return self._model
        names = [model.id for model in self._models]
        if len(names) != 1:
            there = ", ".join(names[:10]) or "none that it would name"
            raise PlannerConfigurationError(
                f"{self.url} has several models or none ({there}): say which, as {self.url}#MODEL"
            )
        return str(names[0])

    def answer(self, questions: Sequence[Question], sampling: Sampling) -> list[list[Answer]]:
        """See `Backend.answer`; log-probabilities are what the server says they are."""
        name = self.name  # asked for once, before there are threads
        if self._is_silent:
            self._check_awake()
        with ThreadPoolExecutor(min(self.workers, max(1, len(questions)))) as pool:
            return list(pool.map(lambda question: self._answers(name, question, sampling), questions))

    def seen(self, size: Size, dialect: str) -> Size:
        """The size at which the model there sees an image, for a dialect that counts pixels.

        Raises:
            PlannerConfigurationError: if the dialect counts those of the scaled image, and the server does not say how
                it scales.
        """
        stated = self.stated.get("scaling")
        if isinstance(stated, dict):
            return _scaling(stated, self.url)(size)
        if DIALECTS[dialect].frame == "scaled image's pixels":
            raise PlannerConfigurationError(
                f"{dialect} counts pixels of the image as the model sees it, and {self.url} does not say how it scales "
                "images; serve the model by hamster serve planner, or take a dialect of relative coordinates"
            )
        return size

    @property
    def stated(self) -> dict[str, Any]:
        """What the server's list says about the model, without what changes from one request to the next."""
        entry = next((model for model in self._models if model.id == self.name), None)
        facts: dict[str, Any] = {} if entry is None else entry.model_dump(mode="json", warnings=False)
        return {name: value for name, value in facts.items() if name not in ("created", "permission", "object")}

    @property
    def speech(self) -> Speech | None:
        """How the server says that its model is asked and answers, as our own does; None where it does not say.

        Raises:
            PlannerConfigurationError: if that is a dialect which is not known here.
        """
        stated = self.stated
        if "dialect" not in stated:
            return None
        try:
            return Speech(str(stated["dialect"]), str(stated.get("prompt") or ""), stated.get("abstains") is True)
        except ValueError as error:
            raise PlannerConfigurationError(f"{self.url} says how its model is asked, but: {error}") from None

    @property
    def calibration(self) -> Calibration:
        """What the server says that its model's scores mean; one that changes nothing where it does not say.

        Raises:
            PlannerConfigurationError: if that cannot be read.
        """
        try:
            return Calibration(**self.stated.get("calibration", {}))
        except (TypeError, ValueError) as error:
            raise PlannerConfigurationError(f"{self.url} says what its scores mean, but: {error}") from None

    @cached_property
    def _models(self) -> list[Any]:
        """What the server lists; empty for one that has no list, as HAMSTER_beta's."""
        client = self._client.with_options(timeout=min(self._timeout_s, LIST_S))

        def listed() -> list[Any]:
            try:
                return [model for model in client.models.list().data if isinstance(model.id, str)]
            except openai.APIStatusError as error:
                if error.status_code in UNLISTED:
                    return []
                raise

        return self._patiently(listed)

    def _check_awake(self) -> None:
        """PlannerUnavailableError within seconds, rather than another time-out, if the server is still silent."""
        try:
            self._client.with_options(timeout=min(self._timeout_s, LIST_S)).models.list()
        except openai.APIConnectionError as error:
            raise failure(self.url, error, LIST_S, self._has_answered) from None
        except (openai.APIError, ValueError, TypeError, AttributeError):  # whatever it says, it is awake
            pass
        self._is_silent = False

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` returns; while the server is only unavailable, it is asked again a few times, ever later."""
        for pause_s in PAUSES_S:
            try:
                return self._attempt(ask)
            except PlannerUnavailableError as error:
                if error.is_timeout:
                    raise
                time.sleep(min(max(pause_s, error.retry_after_s or 0.0), LONGEST_PAUSE_S))
        return self._attempt(ask)

    def _attempt(self, ask: Callable[[], T]) -> T:
        """What `ask` returns; what goes wrong on the way as one of our own errors."""
        try:
            return ask()
        except openai.APITimeoutError as error:
            self._is_silent = True
            raise failure(self.url, error, self._timeout_s, self._has_answered) from None
        except openai.APIError as error:
            raise failure(self.url, error, self._timeout_s, self._has_answered) from None
        except (PlanError, PlannerConfigurationError):
            raise
        except (ValueError, TypeError, AttributeError, RecursionError):  # said to be JSON of this kind, and is not
            raise no_answer(self.url) from None

    def _answers(self, name: str, question: Question, sampling: Sampling) -> list[Answer]:
        found: list[Answer] = []
        while len(found) < sampling.n:  # some servers give one answer however many are asked for
            left = replace(sampling, n=sampling.n - len(found)) if found else sampling
            seed = None if sampling.seed is None else sampling.seed + len(found)
            asked = replace(left, seed=seed)
            found += self._patiently(lambda asked=asked: self._ask(name, question, asked))  # type: ignore[misc]
        return found[: sampling.n]

    def _ask(self, name: str, question: Question, sampling: Sampling) -> list[Answer]:
        request: dict[str, Any] = {
            "model": name, "messages": [{"role": "user", "content": self._content(question)}],
            "max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
        }  # fmt: skip
        answers = self._read(self._create(request, self._more(sampling)), sampling)
        self._has_answered = True
        if sampling.grammar and self._is_vllm:
            answers = [replace(each, log_p=self._own_log_p(request, each)) for each in answers]
        return [_ended(each, sampling) for each in answers]

    def _create(self, request: dict[str, Any], more: dict[str, Any]) -> Any:
        """The reply; a server that refuses what only some know is asked again without, and from then on."""
        if not self._plain:
            try:
                return self._client.chat.completions.create(**request, **more)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                pass
        reply = self._client.chat.completions.create(**request)
        self._plain = True
        return reply

    def _own_log_p(self, request: dict[str, Any], answer: Answer) -> tuple[float, ...]:
        """What the model thinks of an answer, whatever the grammar left it to say; () if the server does not tell."""
        said = {"role": "assistant", "content": answer.text}
        again = request | {"messages": [*request["messages"], said], "max_tokens": 1, "temperature": 0}
        try:
            reply = self._client.chat.completions.create(**again, extra_body=dict(rescoring.FIELDS))
        except openai.BadRequestError:  # no room for one more token, or an older vLLM
            return ()
        listed = getattr(reply, "prompt_logprobs", None)
        return rescoring.log_p_of(listed, answer.prompt_tokens, answer.text, answer.finish == "stop")

    @property
    def _is_vllm(self) -> bool:
        return any("vllm" in (model.owned_by, getattr(model, "chats", None)) for model in self._models)

    def _more(self, sampling: Sampling) -> dict[str, Any]:
        """What only some servers know."""
        more: dict[str, Any] = {"n": sampling.n, "logprobs": True}
        if sampling.seed is not None:
            more["seed"] = sampling.seed
        body: dict[str, Any] = {}
        if sampling.grammar and self._takes_regex:
            body["structured_outputs"] = {"regex": sampling.grammar}
        if not sampling.may_refuse and self.stated.get("refusals") == "optional":
            body["abstains"] = False
        return more | ({"extra_body": body} if body else {})

    @property
    def _takes_regex(self) -> bool:
        """Our own server says it of each model."""
        return (
            self.stated.get("structured_outputs", any(model.owned_by in CONSTRAINED for model in self._models)) is True
        )

    def _content(self, question: Question) -> list[dict[str, Any]]:
        text = _MARK.sub(lambda mark: " ".join(mark.group()), question.text)
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if question.image is None:
            return parts
        file = io.BytesIO()
        image = Image.fromarray(question.image)
        image = image if self._prepare is None else self._prepare(image)
        image.save(file, "PNG" if self.lossless else "JPEG", quality=95, compress_level=1)
        kind = "png" if self.lossless else "jpeg"
        data = base64.b64encode(file.getvalue()).decode()
        return [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}, *parts]

    def _read(self, reply: Any, sampling: Sampling) -> list[Answer]:
        """The answers in a reply; PlannerUnavailableError if it has none, PlanError if one is no text."""
        usage = getattr(reply, "usage", None)
        prompt, said = (getattr(usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens"))
        choices = getattr(reply, "choices", None) or []
        if not isinstance(choices, list) or not choices:
            raise no_answer(self.url)
        return [self._choice(choice, prompt, said // len(choices), sampling) for choice in choices]

    def _choice(self, choice: Any, prompt_tokens: int, tokens: int, sampling: Sampling) -> Answer:
        reason = getattr(choice, "finish_reason", None)
        if reason in BROKEN_OFF:
            raise PlannerUnavailableError(f"{self.url} broke off its answer: {reason}")
        text = _text(getattr(getattr(choice, "message", None), "content", None))
        if text is None:
            raise PlanError(f"{self.url} gave an answer without text")
        listed = getattr(getattr(choice, "logprobs", None), "content", None) or []
        log_p = tuple(float(token.logprob) for token in listed)
        pieces = tuple(str(getattr(token, "token", "")) for token in listed) if sampling.pieces else ()
        finish: Literal["stop", "length"] = "length" if reason == "length" else "stop"
        certainty = getattr(choice, "certainty", None)  # our own server says it of models that can tell
        certainty = certainty if isinstance(certainty, float) and 0 <= certainty <= 1 else None
        return Answer(text, log_p, finish, prompt_tokens, len(log_p) or tokens, certainty, pieces)


def _ended(answer: Answer, sampling: Sampling) -> Answer:
    """One that was cut off is ended after its last whole waypoint."""
    if answer.finish != "length" or not (sampling.grammar and sampling.closing):
        return answer
    return replace(answer, text=closed(answer.text, sampling.grammar, sampling.closing) or answer.text)


def _scaling(stated: dict[str, Any], url: str) -> Scaling:
    try:
        return Scaling(**stated)
    except (TypeError, ValueError):
        raise PlannerConfigurationError(f"{url} says how it scales images in a way that cannot be read") from None


def _text(content: Any) -> str | None:
    """A message's text; HAMSTER_beta's server gives a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else getattr(part, "text", None) for part in content]
    return "".join(part for part in parts if isinstance(part, str)) if parts else None
