"""A vision-language model behind an endpoint that speaks OpenAI's protocol, by OpenAI's own client.

vLLM, `transformers serve`, `hamster serve planner`, hosted models, and HAMSTER_beta's server, which has no /v1 and puts
its answer into a list. What a server does not know (log-probabilities, grammars, several answers) is done without.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import openai
from PIL import Image

from hamster.path import PlanError
from hamster.path.dialects import DIALECTS, Size, closed
from hamster.planner import retold
from hamster.planner.backend import Answer, Question, Sampling
from hamster.planner.families import Scaling
from hamster.proxies import client_options

CONSTRAINED = frozenset({"vllm", "hamster"})  # who, as the owner of its models, takes structured_outputs
TIMEOUT_S = 120.0
LONGEST_REASON = 300
# What chat templates of common models mark turns and images with; which of them a server uses is not known here.
_MARK = re.compile(
    r"<\|[^<>|]{0,40}\|>|</?(?:s|bos|eos|pad|unk|image|video|start_of_\w{1,8}|end_of_\w{1,10})>|\[/?INST\]"
)


class EndpointBackend:
    """Asks a server.

    Args:
        url: of the API, as OpenAI's client wants it: what /chat/completions follows.
        model: its name there; "" takes the only one that the server lists.
        api_key: by default that in the environment variable OPENAI_API_KEY, if any.
        timeout_s: for one answer.
        lossless: PNG instead of JPEG.
        prepare: what is done to an image before it is sent, if anything.
        workers: questions that are under way at a time.
    """

    def __init__(
        self, url: str, model: str = "", api_key: str | None = None, timeout_s: float = TIMEOUT_S,
        lossless: bool = True, workers: int = 8, prepare: Callable[[Image.Image], Image.Image] | None = None,
    ) -> None:  # fmt: skip
        key = api_key or os.environ.get("OPENAI_API_KEY") or "none"
        self.url, self.lossless, self.workers, self._prepare = url, lossless, workers, prepare
        http: Any = openai.DefaultHttpxClient(**client_options(url))
        self._client: Any = openai.OpenAI(base_url=url, api_key=key, timeout=timeout_s, max_retries=1, http_client=http)
        self._model = model
        self._plain = False  # whether the server refused what only some know

    @classmethod
    def at(cls, address: str, **options: Any) -> EndpointBackend:
        """From http://HOST:PORT/v1#MODEL."""
        url, _, model = address.partition("#")
        return cls(url.rstrip("/"), model, **options)

    @cached_property
    def name(self) -> str:
        """What the model is called there; PlanError if nobody says, or several are there."""
        if self._model:
            return self._model
        names = [model.id for model in self._models]
        if len(names) != 1:
            there = ", ".join(names[:10]) or "none that it would name"
            raise PlanError(f"{self.url} has several models or none ({there}): say which, as {self.url}#MODEL")
        return str(names[0])

    def answer(self, questions: Sequence[Question], sampling: Sampling) -> list[list[Answer]]:
        """See `Backend.answer`; log-probabilities are what the server says they are."""
        name = self.name  # asked for once, before there are threads
        with ThreadPoolExecutor(min(self.workers, max(1, len(questions)))) as pool:
            return list(pool.map(lambda question: self._answers(name, question, sampling), questions))

    def seen(self, size: Size, dialect: str) -> Size:
        """The size at which the model there sees an image, for a dialect that counts pixels.

        Raises:
            PlanError: if the dialect counts those of the scaled image, and the server does not say how it scales.
        """
        stated = next((getattr(model, "scaling", None) for model in self._models if model.id == self.name), None)
        if isinstance(stated, dict):
            return _scaling(stated, self.url)(size)
        if DIALECTS[dialect].frame == "scaled image's pixels":
            raise PlanError(
                f"{dialect} counts pixels of the image as the model sees it, and {self.url} does not say how it scales "
                "images; serve the model by hamster serve planner, or take a dialect of relative coordinates"
            )
        return size

    @cached_property
    def _models(self) -> list[Any]:
        try:
            return list(self._client.models.list().data)
        except openai.APIStatusError:  # HAMSTER_beta's server has no such route
            return []
        except openai.APIError as error:
            raise self._failed(error) from None

    def _answers(self, name: str, question: Question, sampling: Sampling) -> list[Answer]:
        found: list[Answer] = []
        while len(found) < sampling.n:  # some servers give one answer however many are asked for
            left = replace(sampling, n=sampling.n - len(found)) if found else sampling
            seed = None if sampling.seed is None else sampling.seed + len(found)
            found += self._ask(name, question, replace(left, seed=seed))
        return found[: sampling.n]

    def _ask(self, name: str, question: Question, sampling: Sampling) -> list[Answer]:
        request: dict[str, Any] = {
            "model": name, "messages": [{"role": "user", "content": self._content(question)}],
            "max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
        }  # fmt: skip
        try:
            answers = self._read(self._create(request, self._more(sampling)), sampling)
            if sampling.grammar and self._is_vllm:
                answers = [replace(each, log_p=self._own_log_p(request, each)) for each in answers]
            return [_ended(each, sampling) for each in answers]
        except openai.APIError as error:
            raise self._failed(error) from None
        except PlanError:
            raise
        except (ValueError, TypeError, RecursionError):  # what is said to be JSON is not, or is not what it should be
            raise PlanError(f"{self.url} gave no answer: is it an API of OpenAI's kind?") from None

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
            reply = self._client.chat.completions.create(**again, extra_body=dict(retold.FIELDS))
        except openai.BadRequestError:  # no room for one more token, or an older vLLM
            return ()
        listed = getattr(reply, "prompt_logprobs", None)
        return retold.log_p_of(listed, answer.prompt_tokens, answer.text, answer.finish == "stop")

    @property
    def _is_vllm(self) -> bool:
        return any("vllm" in (model.owned_by, getattr(model, "chats", None)) for model in self._models)

    def _more(self, sampling: Sampling) -> dict[str, Any]:
        """What only some servers know."""
        more: dict[str, Any] = {"n": sampling.n, "logprobs": True}
        if sampling.seed is not None:
            more["seed"] = sampling.seed
        if sampling.grammar and any(model.owned_by in CONSTRAINED for model in self._models):
            more["extra_body"] = {"structured_outputs": {"regex": sampling.grammar}}
        return more

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
        """The answers in a reply; PlanError if it has none."""
        usage = getattr(reply, "usage", None)
        prompt, said = (getattr(usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens"))
        choices = getattr(reply, "choices", None) or []
        if not isinstance(choices, list) or not choices:
            raise PlanError(f"{self.url} gave no answer: is it an API of OpenAI's kind?")
        return [self._choice(choice, prompt, said // len(choices), sampling) for choice in choices]

    def _choice(self, choice: Any, prompt_tokens: int, tokens: int, sampling: Sampling) -> Answer:
        text = _text(getattr(getattr(choice, "message", None), "content", None))
        if text is None:
            raise PlanError(f"{self.url} gave an answer without text")
        listed = getattr(getattr(choice, "logprobs", None), "content", None) or []
        log_p = tuple(float(token.logprob) for token in listed)
        pieces = tuple(str(getattr(token, "token", "")) for token in listed) if sampling.pieces else ()
        finish: Literal["stop", "length"] = "length" if getattr(choice, "finish_reason", None) == "length" else "stop"
        return Answer(text, log_p, finish, prompt_tokens, len(log_p) or tokens, pieces=pieces)

    def _failed(self, error: openai.APIError) -> PlanError:
        """One line for whatever goes wrong on the way."""
        if isinstance(error, openai.APITimeoutError):
            return PlanError(f"{self.url} did not answer within {self._client.timeout:g} s")
        if isinstance(error, openai.APIConnectionError):
            return PlanError(f"{self.url} cannot be reached: {_line(error.__cause__ or error)}")
        status = f"{error.status_code} " if isinstance(error, openai.APIStatusError) else ""
        return PlanError(f"{self.url} says {status}{_line(error)}")


def _ended(answer: Answer, sampling: Sampling) -> Answer:
    """One that was cut off is ended after its last whole waypoint."""
    if answer.finish != "length" or not (sampling.grammar and sampling.closing):
        return answer
    return replace(answer, text=closed(answer.text, sampling.grammar, sampling.closing) or answer.text)


def _scaling(stated: dict[str, Any], url: str) -> Scaling:
    try:
        return Scaling(**stated)
    except (TypeError, ValueError):
        raise PlanError(f"{url} says how it scales images in a way that cannot be read") from None


def _text(content: Any) -> str | None:
    """A message's text; HAMSTER_beta's server gives a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else getattr(part, "text", None) for part in content]
    return "".join(part for part in parts if isinstance(part, str)) if parts else None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
