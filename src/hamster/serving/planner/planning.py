"""An image and an instruction become a path: what /v1/plan reads and says."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from hamster.path import PlanError
from hamster.planner.base import MAX_INSTRUCTION_CHARS, Plan, validate_instruction
from hamster.serving.planner.batcher import Job
from hamster.serving.planner.chat_schema import Strict, invalid_field
from hamster.serving.planner.errors import invalid
from hamster.serving.planner.images import Picture, picture, picture_from_text
from hamster.serving.planner.limits import Limits

Share = Annotated[float, Field(ge=0, le=1)]


class PlanFields(Strict):
    """What is asked beside the image."""

    instruction: Annotated[str, Field(max_length=4 * MAX_INSTRUCTION_CHARS)]
    gripper_uv: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None
    model: str | None = None
    abstains: bool | None = None


class PlanRequest(PlanFields):
    """The body as JSON: `image` is a data URI or bare base64, `gripper_uv` where the gripper is, relative.

    `abstains`: false always asks for a path, and never takes "not in view" for an answer.
    """

    image: str


@dataclass(frozen=True, eq=False)
class Wanted:
    """One path to draw."""

    image: NDArray[np.uint8]
    instruction: str
    gripper_uv: tuple[float, float] | None


class ManyPlanner(Protocol):
    """A planner that draws several paths at once."""

    def plan_many(
        self,
        images: Sequence[NDArray[np.uint8]],
        instructions: Sequence[str],
        gripper_uv: Sequence[tuple[float, float] | None],
    ) -> Sequence[Plan | PlanError]:
        """See `VlmPlanner.plan_many`."""
        ...


@dataclass(frozen=True)
class Planning:
    """Has a planner draw paths; an error stands for a path that could not be had."""

    planner: ManyPlanner

    def __call__(self, wanted: Sequence[Wanted]) -> list[Plan | PlanError]:
        """The plans, in order."""
        images, words = [one.image for one in wanted], [one.instruction for one in wanted]
        return list(self.planner.plan_many(images, words, [one.gripper_uv for one in wanted]))


Prepare = Callable[[Callable[[], Any]], Awaitable[Any]]


async def read_plan(request: Request, limits: Limits, prepare: Prepare) -> tuple[PlanFields, Picture]:
    """Read what is asked, from JSON or a form; the image's header is fine.

    Args:
        request: whose body is whole.
        limits: on the image.
        prepare: calls a function beside the event loop, for bodies and headers that take a while to parse.

    Raises:
        ServeError: that names the field at fault.
    """
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _from_form(request, limits, prepare)
    body = await request.body()
    fields, image = await prepare(lambda: _from_json(body, limits))
    return fields, image


def _from_json(body: bytes, limits: Limits) -> tuple[PlanFields, Picture]:
    try:
        fields = PlanRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_field(error) from None
    return _checked(fields), picture_from_text(fields.image, limits)


async def _from_form(request: Request, limits: Limits, prepare: Prepare) -> tuple[PlanFields, Picture]:
    async with request.form(max_files=1, max_fields=8, max_part_size=8 * MAX_INSTRUCTION_CHARS) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise invalid("image: send the image as a file", "image", "invalid_field")
        data = await image.read()
        words: dict[str, Any] = {name: value for name, value in form.items() if name != "image"}
    try:
        if isinstance(words.get("gripper_uv"), str):
            words["gripper_uv"] = [float(value) for value in words["gripper_uv"].strip("[] ").split(",")]
        words["abstains"] = {"true": True, "false": False}.get(str(words.get("abstains")), words.get("abstains"))
        return _checked(PlanFields.model_validate(words)), await prepare(lambda: picture(data, limits))
    except ValidationError as error:
        raise invalid_field(error) from None
    except ValueError:
        raise invalid("gripper_uv: two numbers in [0, 1], as 0.4,0.6", "gripper_uv", "invalid_field") from None


def _checked(fields: PlanFields) -> PlanFields:
    try:
        validate_instruction(fields.instruction)
    except PlanError as error:
        raise invalid(str(error), "instruction", "invalid_field") from None
    return fields


def plan_json(plan: Plan, model: str, dialect: str, job: Job, arrived: float) -> dict[str, Any]:
    """The answer: the best path, all of them, and where the time went, in seconds."""
    now = time.perf_counter()
    timings = {"total_s": now - arrived, "queue_s": job.begun - arrived, **plan.timings}
    return {
        "path": plan.path.to_json(),
        "score": plan.path.score,
        "paths": [path.to_json() for path in plan.paths],
        "raw_text": plan.raw_text,
        "model": model,
        "dialect": dialect,
        "batch": job.batch,
        "timings": timings,
    }
