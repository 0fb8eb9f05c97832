"""Forward chats to another server behind this one, after the checks here, with that server's own key."""

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
from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.chat import OPENAI, sampling_params_for
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.engine import Caller, Engine
from hamster.serving.planner.errors import UPSTREAM_UNAVAILABLE, ServeError, invalid
from hamster.serving.planner.images import EncodedImage, encoded_image_from_text
from hamster.serving.planner.streaming import StreamResponse

FORMATS = ("text", "json_object", "json_schema")
MAX_IMAGES = 8
Preprocess: TypeAlias = Callable[[Image.Image], Image.Image]


class Upstream:
    """Forwards chats to an OpenAI-compatible server, which batches and streams by itself.

    Args:
        url: of its API, ending in /v1.
        api_key: its own, which no client ever sees.
        model: its name there.
        preprocess: applied to each image before it is sent on; None forwards its bytes as they came.
    """

    def __init__(self, url: str, api_key: str, model: str, preprocess: Preprocess | None = None) -> None:
        self._url, self._model, self._preprocess = f"{url}/chat/completions", model, preprocess
        headers = {"authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(
            headers=headers, limits=httpx.Limits(max_connections=None), **client_options(url)
        )

    async def chat(self, request: ChatRequest, engine: Engine, caller: Caller) -> Response:
        """Forward a request, and stream the response; ServeError for what is refused here, and for 429, 502 and 504.

        Args:
            request: of the client.
            engine: with the limits and the queue.
            caller: who sent it, and when.
        """
        body = await engine.run_in_thread(lambda: forwarded_body(request, engine.limits)) | {"model": self._model}
        engine.check_ready()
        if (preprocess := self._preprocess) is not None:
            await engine.run_in_thread(lambda: preprocess_images(body, preprocess, engine.limits))
        return StreamResponse(self._response(body, engine, caller))

    @asynccontextmanager
    async def _response(
        self, body: dict[str, Any], engine: Engine, caller: Caller
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Yield content type and body of the response."""
        deadline = caller.arrived + engine.limits.deadline_s
        timeout = httpx.Timeout(max(deadline - time.perf_counter(), 0.001))
        with engine.slot(caller.client):
            try:
                async with self._client.stream("POST", self._url, json=body, timeout=timeout) as response:
                    if response.status_code != 200:
                        raise upstream_error(response.status_code, await response.aread())
                    yield response.headers.get("content-type", "application/json"), _parts_until(response, deadline)
            except httpx.TimeoutException:
                raise ServeError(504, "deadline", f"no answer within {engine.limits.deadline_s:g} s") from None
            except httpx.TransportError:
                raise ServeError(502, UPSTREAM_UNAVAILABLE, "the model's server cannot be reached") from None


async def _parts_until(response: httpx.Response, deadline: float) -> AsyncIterator[bytes]:
    async for part in response.aiter_bytes():
        yield part
        if time.perf_counter() > deadline:
            return


def forwarded_body(request: ChatRequest, limits: PlannerLimits) -> dict[str, Any]:
    """Return the request to send on: within the limits, and each image the bytes that were checked here."""
    sampling = sampling_params_for(request, OPENAI, limits, FORMATS)
    if (
        sum(len(turn.images) for turn in request.messages) > MAX_IMAGES
        or sum(len(turn.text) for turn in request.messages) > limits.characters
    ):
        raise invalid(
            f"at most {MAX_IMAGES} images and {limits.characters} characters are read", "messages", "too_long"
        )
    ours = {"guided_regex", "user", "metadata", "num_beams", "use_cache", "abstains"}
    body = request.model_dump(exclude_none=True, exclude=ours)
    for part in _images(body):
        part["url"] = encoded_image_from_text(part["url"], limits, "messages").data_uri
    regex = {"structured_outputs": {"regex": sampling.grammar}} if sampling.grammar else {}
    return body | regex | {"max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}


def preprocess_images(body: dict[str, Any], preprocess: Preprocess, limits: PlannerLimits) -> None:
    """Preprocess the images of a checked request in place; ServeError if one is damaged.

    Args:
        body: of the request.
        preprocess: applied to each image.
        limits: on images.
    """
    for part in _images(body):
        file = io.BytesIO()
        preprocess(Image.fromarray(encoded_image_from_text(part["url"], limits, "messages").rgb())).save(file, "PNG")
        part["url"] = EncodedImage(file.getvalue(), "PNG").data_uri


def _images(body: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [part for turn in body["messages"] for part in turn["content"] if isinstance(part, dict)]
    return [part["image_url"] for part in parts if part["type"] == "image_url"]


def upstream_error(status: int, body: bytes) -> ServeError:
    """Translate an error of the other server: its message for 400 and 422, else no details."""
    try:
        message = str(httpx.Response(status, content=body).json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = "the model's server refused this request"
    if status in (400, 422):
        return invalid(message, code="refused_upstream")
    return ServeError(502, "upstream_failed", f"the model's server answered with {status}")
