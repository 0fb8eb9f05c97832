"""The route /v1/plan: its request, its response, and planning in batches."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from hamster.data.instructions import MAX_INSTRUCTION_CHARS
from hamster.path import PlanError
from hamster.planner.backend import TokenCallback
from hamster.planner.base import Plan, Planner, checked_plan, validate_instruction
from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.batcher import Job
from hamster.serving.planner.chat_schema import StrictModel, invalid_field
from hamster.serving.planner.errors import invalid
from hamster.serving.planner.images import EncodedImage, encoded_image, encoded_image_from_text

Relative = Annotated[float, Field(ge=0, le=1)]


class PlanFields(StrictModel):
    """The fields of a request beside the image."""

    instruction: Annotated[str, Field(max_length=4 * MAX_INSTRUCTION_CHARS)]
    gripper_uv: Annotated[list[Relative], Field(min_length=2, max_length=2)] | None = None
    model: str | None = None
    abstains: bool | None = None


class PlanRequest(PlanFields):
    """The body as JSON: `image` is a data URI or bare base64, `gripper_uv` the gripper's relative place on it.

    With `abstains` false the planner always draws a path, and never answers that nothing is in view.
    """

    image: str


@dataclass(frozen=True, eq=False)
class PlanItem:
    """The input of one plan: an image (H, W, 3) uint8, an instruction, and the gripper's relative place if known."""

    image: NDArray[np.uint8]
    instruction: str
    gripper_uv: tuple[float, float] | None


@runtime_checkable
class BatchPlanner(Protocol):
    """A planner that draws several paths at once."""

    def plan_many(
        self,
        images: Sequence[NDArray[np.uint8]],
        instructions: Sequence[str],
        gripper_uv: Sequence[tuple[float, float] | None],
        on_token: TokenCallback | None = None,
    ) -> Sequence[Plan | PlanError]:
        """See `VlmPlanner.plan_many`."""
        ...


@dataclass(frozen=True)
class PlanBatch:
    """A `BatchFn` that plans; an error stands for a path that could not be had.

    A planner without `plan_many` is called once for each item.
    """

    planner: Planner | BatchPlanner

    def __call__(self, items: Sequence[PlanItem], on_token: TokenCallback) -> list[Plan | PlanError]:
        """Return the plans, in order."""
        if isinstance(self.planner, BatchPlanner):
            images, instructions = [item.image for item in items], [item.instruction for item in items]
            grippers = [item.gripper_uv for item in items]
            return list(self.planner.plan_many(images, instructions, grippers, on_token))
        return [_plan(self.planner, item) for item in items]


def _plan(planner: Planner, item: PlanItem) -> Plan | PlanError:
    if item.gripper_uv is not None:
        return PlanError("gripper_uv is not supported by this planner")
    try:
        return checked_plan(planner.plan(item.image, item.instruction), planner)
    except PlanError as error:
        return error


Prepare = Callable[[Callable[[], Any]], Awaitable[Any]]


async def read_plan(request: Request, limits: PlannerLimits, prepare: Prepare) -> tuple[PlanFields, EncodedImage]:
    """Parse a request, from JSON or a form, and check the image's header.

    Args:
        request: with a complete body.
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


def _from_json(body: bytes, limits: PlannerLimits) -> tuple[PlanFields, EncodedImage]:
    try:
        fields = PlanRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_field(error) from None
    return _checked(fields), encoded_image_from_text(fields.image, limits)


async def _from_form(request: Request, limits: PlannerLimits, prepare: Prepare) -> tuple[PlanFields, EncodedImage]:
    async with request.form(max_files=1, max_fields=8, max_part_size=8 * MAX_INSTRUCTION_CHARS) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise invalid("image: send the image as a file", "image", "invalid_field")
        data = await image.read()
        values: dict[str, Any] = {name: value for name, value in form.items() if name != "image"}
    try:
        if isinstance(values.get("gripper_uv"), str):
            values["gripper_uv"] = [float(value) for value in values["gripper_uv"].strip("[] ").split(",")]
        values["abstains"] = {"true": True, "false": False}.get(str(values.get("abstains")), values.get("abstains"))
        return _checked(PlanFields.model_validate(values)), await prepare(lambda: encoded_image(data, limits))
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
    """Return the response: the best path, all paths, and the time spent in each stage.

    Args:
        plan: of the planner.
        model: its name.
        dialect: of its answers.
        job: that planned.
        arrived: when the request came, by `time.perf_counter`.
    """
    now = time.perf_counter()
    timings = {"total_s": now - arrived, "queue_s": job.started - arrived, **plan.timings}
    return {
        "path": plan.path.to_json(),
        "score": plan.path.score,
        "paths": [path.to_json() for path in plan.paths],
        "raw_text": plan.raw_text,
        "model": model,
        "dialect": dialect,
        "batch": job.batch_size,
        "timings": timings,
    }
