"""Another server that answers chats, behind this one: it sees what passed here, on one route, with its own key."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpx
from PIL import Image
from starlette.responses import Response

from hamster.proxies import client_options
from hamster.serving.planner.chat import OPENAI, sampling_of
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.engine import Caller, Engine
from hamster.serving.planner.errors import ServeError, invalid
from hamster.serving.planner.images import Picture, picture_from_text
from hamster.serving.planner.limits import Limits
from hamster.serving.planner.streaming import StreamResponse

FORMATS = ("text", "json_object", "json_schema")
MAX_IMAGES = 8
Prepare: TypeAlias = Callable[[Image.Image], Image.Image]


class Upstream:
    """Forwards chats to an OpenAI-compatible server, which batches and streams by itself.

    Args:
        url: of its API, ending in /v1.
        api_key: its own, which no client ever sees.
        model: its name there.
        prepare: what is done to an image before it is sent on; None leaves its bytes as they came.
    """

    def __init__(self, url: str, api_key: str, model: str, prepare: Prepare | None = None) -> None:
        self._url, self._model, self._prepare = f"{url}/chat/completions", model, prepare
        headers = {"authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(
            headers=headers, limits=httpx.Limits(max_connections=None), **client_options(url)
        )

    async def chat(self, asked: ChatRequest, engine: Engine, caller: Caller) -> Response:
        """Its response as it comes; ServeError for what does not pass, and for 429, 502 and 504."""
        body = await engine.prepare(lambda: checked(asked, engine.limits)) | {"model": self._model}
        engine.check_ready()
        if (prepare := self._prepare) is not None:
            await engine.prepare(lambda: prepare_images(body, prepare, engine.limits))
        return StreamResponse(self._forwarded(body, engine, caller))

    @asynccontextmanager
    async def _forwarded(
        self, body: dict[str, Any], engine: Engine, caller: Caller
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Its response: content type and body."""
        until = caller.arrived + engine.limits.deadline_s
        patience = httpx.Timeout(max(until - time.perf_counter(), 0.001))
        with engine.place(caller.client):
            try:
                async with self._client.stream("POST", self._url, json=body, timeout=patience) as response:
                    if response.status_code != 200:
                        raise refusal(response.status_code, await response.aread())
                    yield response.headers.get("content-type", "application/json"), _until(response, until)
            except httpx.TimeoutException:
                raise ServeError(504, "deadline", f"no answer within {engine.limits.deadline_s:g} s") from None
            except httpx.TransportError:
                raise ServeError(502, "upstream_lost", "the model's server cannot be reached") from None


async def _until(response: httpx.Response, until: float) -> AsyncIterator[bytes]:
    async for part in response.aiter_bytes():
        yield part
        if time.perf_counter() > until:
            return


def checked(asked: ChatRequest, limits: Limits) -> dict[str, Any]:
    """The request as it is sent on: within the limits, and each image the bytes that were looked at here."""
    sampling = sampling_of(asked, OPENAI, limits, FORMATS)
    if (
        sum(len(turn.images) for turn in asked.messages) > MAX_IMAGES
        or sum(len(turn.text) for turn in asked.messages) > limits.characters
    ):
        raise invalid(
            f"at most {MAX_IMAGES} images and {limits.characters} characters are read", "messages", "too_long"
        )
    ours = {"guided_regex", "user", "metadata", "num_beams", "use_cache", "abstains"}
    body = asked.model_dump(exclude_none=True, exclude=ours)
    for part in _images(body):
        part["url"] = picture_from_text(part["url"], limits, "messages").data_uri
    regex = {"structured_outputs": {"regex": sampling.grammar}} if sampling.grammar else {}
    return body | regex | {"max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}


def prepare_images(body: dict[str, Any], prepare: Prepare, limits: Limits) -> None:
    """Changes the images of a checked request; ServeError if one is damaged."""
    for part in _images(body):
        file = io.BytesIO()
        prepare(Image.fromarray(picture_from_text(part["url"], limits, "messages").rgb())).save(file, "PNG")
        part["url"] = Picture(file.getvalue(), "PNG").data_uri


def _images(body: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [part for turn in body["messages"] for part in turn["content"] if isinstance(part, dict)]
    return [part["image_url"] for part in parts if part["type"] == "image_url"]


def refusal(status: int, body: bytes) -> ServeError:
    """What the other server said, in our words; what is between it and us is nobody else's business."""
    try:
        message = str(httpx.Response(status, content=body).json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = "the model's server refused this request"
    if status in (400, 422):
        return invalid(message, code="refused_upstream")
    return ServeError(502, "upstream_failed", f"the model's server answered with {status}")
