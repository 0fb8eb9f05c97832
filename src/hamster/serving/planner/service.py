"""What the routes do, over any planner: complete a chat, plan a path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hamster.dialects import hamster
from hamster.planner.backend import Backend, Completion, GenerationRequest, SamplingParams
from hamster.planner.base import Plan, Planner
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner.batcher import Job
from hamster.serving.planner.chat import (
    HAMSTER_BETA,
    OPENAI,
    CompletionChunks,
    GenerateBatch,
    chat_completion,
    check_regex,
    parse_chat,
    sampling_params_for,
)  # fmt: skip
from hamster.serving.planner.chat_schema import ChatRequest, read_chat
from hamster.serving.planner.engine import Caller, Engine
from hamster.serving.planner.errors import PLANNING_FAILED, ServeError, invalid
from hamster.serving.planner.images import EncodedImage
from hamster.serving.planner.planning import BatchPlanner, PlanBatch, PlanFields, PlanItem, plan_json, read_plan
from hamster.serving.planner.streaming import OnText, StreamResponse, completion_events
from hamster.serving.planner.upstream import Upstream

HAMSTER_BETA_NAMES = ("Hamster_dev", "HAMSTER_dev")
_QUEST = re.compile(r"<quest>(.*?)</quest>", re.DOTALL)


@dataclass(frozen=True)
class ModelHandle:
    """The model that is served.

    Attributes:
        name: as clients call it.
        planner: draws paths.
        backend: completes chats; None for a planner that has no language model behind it.
        dialect: of the model's own answers.
        upstream: the server that chats are forwarded to, if it is one that streams and batches by itself.
        takes_regex: whether the backend holds answers to any regular expression.
        is_alive: whether the model's process still runs.
        identity: digest or commit of the weights, for clients that must know whether the model is still the same.
    """

    name: str
    planner: Planner | BatchPlanner
    backend: Backend | None
    dialect: str
    upstream: Upstream | None = None
    takes_regex: bool = True
    is_alive: Callable[[], bool] = lambda: True
    identity: Mapping[str, Any] = field(default_factory=dict)


class Service:
    """The handlers of all routes that need the model; they share one engine."""

    def __init__(self, model: ModelHandle, engine: Engine) -> None:
        self.model, self.engine = model, engine
        self._limits = engine.limits
        self._plan_batch = PlanBatch(model.planner)

    async def chat(self, request: Request) -> Response:
        """Handle POST /v1/chat/completions."""
        caller, body = Caller.of(request.scope), await self._read_chat(request)
        self.check_name(body.model)
        if self.model.upstream is not None:
            return await self.model.upstream.chat(body, self.engine, caller)
        batch_fn = self._generate_batch(sampling_params_for(body, OPENAI, self._limits))
        text, image = await self._parse_chat(body)
        if body.regex and not self.model.takes_regex:
            raise invalid("this model's answers have a grammar of their own", "structured_outputs", "unsupported")
        if body.regex:
            await self.engine.run_in_thread(lambda: check_regex(body.regex))
        if not body.stream:
            completions = await self._complete(batch_fn, text, image, caller)
            return JSONResponse(chat_completion(completions, self.model.name, body))
        events = completion_events(
            lambda on_text: self._complete(batch_fn, text, image, caller, on_text),
            CompletionChunks(self.model.name, batch_fn.sampling.n),
            with_usage=body.stream_options is not None and body.stream_options.include_usage,
            with_logprobs=bool(body.logprobs),
        )
        return StreamResponse(events)

    async def beta_chat(self, request: Request) -> Response:
        """Handle POST /chat/completions as HAMSTER_beta's server does: a list for content, its own text for paths.

        A quest in HAMSTER's prompt is planned with the model's own prompt and dialect, whatever these are.
        """
        caller, body = Caller.of(request.scope), await self._read_chat(request)
        self.check_name(body.model, HAMSTER_BETA_NAMES)
        text, image = await self._parse_chat(body)
        quest, sampling = _QUEST.search(text), sampling_params_for(body, HAMSTER_BETA, self._limits)
        if quest is None or image is None:
            completions = await self._complete(self._generate_batch(sampling), text, image, caller)
        else:
            fields = PlanFields(instruction=quest[1], abstains=body.abstains)
            plan, _ = await self._plan(fields, image, caller)
            completions = [Completion(hamster.render(plan.path))]
        response = chat_completion(completions, body.model, body)
        for choice in response["choices"]:
            choice["message"]["content"] = [{"type": "text", "text": choice["message"]["content"]}]
        return JSONResponse(response)

    async def plan(self, request: Request) -> Response:
        """Handle POST /v1/plan."""
        caller = Caller.of(request.scope)
        fields, image = await read_plan(request, self._limits, self.engine.run_in_thread)
        if fields.model is not None:
            self.check_name(fields.model)
        plan, job = await self._plan(fields, image, caller)
        return JSONResponse(plan_json(plan, self.model.name, self.model.dialect, job, caller.arrived))

    def check_name(self, name: str, aliases: tuple[str, ...] = ()) -> None:
        """Raise ServeError (404) unless this is the model's name, or an alias of it."""
        if name not in (self.model.name, *aliases):
            message = f"there is no model {name[:80]!r} here, only {self.model.name}"
            raise ServeError(404, "model_not_found", message, "model")

    async def warm_up(self) -> None:
        """Plan once, then a whole batch: no client waits for what only the first calls need."""
        for count in (1, self._limits.batch):
            item = PlanItem(np.full((64, 64, 3), 128, np.uint8), "pick up the red cube", None)
            await asyncio.gather(*(self.engine.warm_up(Job(self._plan_batch, item)) for _ in range(count)))
        self.engine.state = "ready"

    async def _read_chat(self, request: Request) -> ChatRequest:
        body = await request.body()
        return await self.engine.run_in_thread(lambda: read_chat(body))

    async def _parse_chat(self, body: ChatRequest) -> tuple[str, EncodedImage | None]:
        return await self.engine.run_in_thread(lambda: parse_chat(body, self._limits))

    def _generate_batch(self, sampling: SamplingParams) -> GenerateBatch:
        if self.model.backend is None:
            raise invalid("this planner answers /v1/plan only; it has no chat", "messages", "unsupported")
        return GenerateBatch(self.model.backend, sampling)

    async def _complete(
        self, batch_fn: GenerateBatch, text: str, image: EncodedImage | None, caller: Caller,
        on_text: OnText | None = None,
    ) -> list[Completion]:  # fmt: skip
        completions: list[Completion]
        try:
            completions, _ = await self.engine.submit(
                batch_fn, lambda rgb: GenerationRequest(rgb, text), image, caller, on_text
            )
        except ServeError as error:
            if error.code == PLANNING_FAILED and isinstance(self.model.planner, VlmPlanner):
                prompt = self.model.planner.prompt_config.prompt
                raise error.with_hint(
                    f"this model answers in the dialect {self.model.dialect} to the prompt {prompt!r}"
                ) from None
            raise
        return completions

    async def _plan(self, fields: PlanFields, image: EncodedImage, caller: Caller) -> tuple[Plan, Job]:
        gripper_uv = None if fields.gripper_uv is None else (fields.gripper_uv[0], fields.gripper_uv[1])
        batch_fn = self._plan_batch
        if fields.abstains is False:
            if not isinstance(self.model.planner, VlmPlanner):
                raise invalid("abstains: this planner decides for itself", "abstains", "unsupported")
            batch_fn = PlanBatch(self.model.planner.without_refusals())
        return await self.engine.submit(
            batch_fn, lambda rgb: PlanItem(np.asarray(rgb), fields.instruction, gripper_uv), image, caller
        )
