"""What the routes do, over any planner: answer a chat, draw a path."""

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
from hamster.planner.backend import Answer, Backend, Question
from hamster.planner.base import Plan
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner.batcher import Job
from hamster.serving.planner.chat import HAMSTER_BETA, OPENAI, Asking, Chunks, completion, question_of, sampling_of
from hamster.serving.planner.chat_schema import ChatRequest, read_chat
from hamster.serving.planner.engine import Caller, Engine
from hamster.serving.planner.errors import ServeError, invalid
from hamster.serving.planner.grammar import check_regex
from hamster.serving.planner.images import Picture
from hamster.serving.planner.planning import ManyPlanner, PlanFields, Planning, Wanted, plan_json, read_plan
from hamster.serving.planner.streaming import OnText, StreamResponse, completion_events
from hamster.serving.planner.upstream import Upstream

BETA_NAMES = ("Hamster_dev", "HAMSTER_dev")
_QUEST = re.compile(r"<quest>(.*?)</quest>", re.DOTALL)


@dataclass(frozen=True)
class Served:
    """What is served.

    Attributes:
        name: of the model, as clients say it.
        planner: draws paths.
        backend: answers chats.
        dialect: of the model's own answers.
        upstream: the server that chats are forwarded to, if it is one that streams and batches by itself.
        takes_regex: whether the backend holds answers to any regular expression.
        is_alive: whether what answers is still there.
        identity: digest or commit of the weights, for clients that must know whether the model is still the same.
    """

    name: str
    planner: ManyPlanner
    backend: Backend
    dialect: str
    upstream: Upstream | None = None
    takes_regex: bool = True
    is_alive: Callable[[], bool] = lambda: True
    identity: Mapping[str, Any] = field(default_factory=dict)


class Service:
    """Requests in, responses out; all of them through one engine."""

    def __init__(self, served: Served, engine: Engine) -> None:
        self.served, self.engine = served, engine
        self._limits = engine.limits
        self._planning = Planning(served.planner)

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        asked, caller = await self._read_chat(request), Caller.of(request.scope)
        self.check_name(asked.model)
        if self.served.upstream is not None:
            return await self.served.upstream.chat(asked, self.engine, caller)
        asking = Asking(self.served.backend, sampling_of(asked, OPENAI, self._limits))
        return await self._answered(asked, asking, caller)

    async def beta_chat(self, request: Request) -> Response:
        """POST /chat/completions, as HAMSTER_beta's server answers: a list for content, its own text for paths.

        Whatever the model's own prompt and dialect are: a quest in HAMSTER's prompt is asked as the model knows it.
        """
        asked, caller = await self._read_chat(request), Caller.of(request.scope)
        self.check_name(asked.model, BETA_NAMES)
        text, image = await self._question_of(asked)
        quest, sampling = _QUEST.search(text), sampling_of(asked, HAMSTER_BETA, self._limits)
        if quest is None or image is None:
            asking = Asking(self.served.backend, sampling)
            response = completion(await self._answers(asking, text, image, caller), asked.model, asked)
        else:
            plan, _ = await self._plan(PlanFields(instruction=quest[1]), image, caller)
            response = completion([Answer(hamster.render(plan.path))], asked.model, asked)
        for choice in response["choices"]:
            choice["message"]["content"] = [{"type": "text", "text": choice["message"]["content"]}]
        return JSONResponse(response)

    async def plan(self, request: Request) -> Response:
        """POST /v1/plan."""
        caller = Caller.of(request.scope)
        fields, image = await read_plan(request, self._limits, self.engine.prepare)
        if fields.model is not None:
            self.check_name(fields.model)
        plan, job = await self._plan(fields, image, caller)
        return JSONResponse(plan_json(plan, self.served.name, self.served.dialect, job, caller.arrived))

    def check_name(self, name: str, also: tuple[str, ...] = ()) -> None:
        """ServeError (404) unless this is the model, or one of its other names."""
        known = (self.served.name, *also)
        if name not in known:
            message = f"there is no model {name[:80]!r} here, only {self.served.name}"
            raise ServeError(404, "model_not_found", message, "model")

    async def warm_up(self) -> None:
        """Answers questions of its own, one and then a whole batch: nobody else waits for what only the first needs."""
        for count in (1, self._limits.batch):
            wanted = Wanted(np.full((64, 64, 3), 128, np.uint8), "pick up the red cube", None)
            await asyncio.gather(*(self.engine.warm_up(Job(self._planning, wanted)) for _ in range(count)))
        self.engine.state = "ready"

    async def _read_chat(self, request: Request) -> ChatRequest:
        body = await request.body()
        return await self.engine.prepare(lambda: read_chat(body))

    async def _question_of(self, asked: ChatRequest) -> tuple[str, Picture | None]:
        return await self.engine.prepare(lambda: question_of(asked, self._limits))

    async def _answered(self, asked: ChatRequest, asking: Asking, caller: Caller) -> Response:
        text, image = await self._question_of(asked)
        if asked.regex and not self.served.takes_regex:
            raise invalid("this model's answers have a grammar of their own", "structured_outputs", "unsupported")
        if asked.regex:
            await self.engine.prepare(lambda: check_regex(asked.regex))
        if not asked.stream:
            return JSONResponse(completion(await self._answers(asking, text, image, caller), self.served.name, asked))
        chunks = Chunks(self.served.name, asking.sampling.n)
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        events = completion_events(
            lambda on_text: self._answers(asking, text, image, caller, on_text), chunks, usage, bool(asked.logprobs)
        )
        return StreamResponse(events)

    async def _answers(
        self, asking: Asking, text: str, image: Picture | None, caller: Caller, on_text: OnText | None = None
    ) -> list[Answer]:
        answers: list[Answer]
        try:
            answers, _ = await self.engine.ask(asking, lambda rgb: Question(rgb, text), image, caller, on_text)
        except ServeError as error:
            if error.code == "unplannable" and isinstance(self.served.planner, VlmPlanner):
                prompt = self.served.planner.speech.prompt
                raise error.with_hint(
                    f"this model is asked in the dialect {self.served.dialect}, as {prompt!r}"
                ) from None
            raise
        return answers

    async def _plan(self, fields: PlanFields, image: Picture, caller: Caller) -> tuple[Plan, Job]:
        gripper = None if fields.gripper_uv is None else (fields.gripper_uv[0], fields.gripper_uv[1])

        def wanted(rgb: Any) -> Wanted:
            return Wanted(np.asarray(rgb), fields.instruction, gripper)

        return await self.engine.ask(self._planning_for(fields), wanted, image, caller)

    def _planning_for(self, fields: PlanFields) -> Planning:
        if fields.abstains is not False:
            return self._planning
        if not isinstance(self.served.planner, VlmPlanner):
            raise invalid("abstains: this planner decides for itself", "abstains", "unsupported")
        return Planning(self.served.planner.always_drawing())
