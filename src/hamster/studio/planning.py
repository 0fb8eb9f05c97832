"""Planners as the studio calls them: the answer is shown while it is generated, and can be given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.dialects import DIALECTS, Size, close_truncated, grammar, parse
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.planner.base import Plan
from hamster.planner.vlm import VlmPlanner
from hamster.rollout.interfaces import PlanLike, PlannerLike
from hamster.studio.state import UV, PlanState

MORE_SAMPLES = 5
"""Answers that are drawn when alternatives are asked for; those that agree become one."""
MAX_TEXT_CHARS = 4000


class CancelledError(Exception):
    """Somebody stopped the planner; there is no answer."""


def ask(
    planner: PlannerLike,
    image: NDArray[np.uint8],
    request: PlanState,
    on_answer: Callable[[PlanState], None],
    is_cancelled: Callable[[], bool],
) -> PlanState:
    """Ask a planner, and return its answer; there being no path is one.

    Args:
        planner: a vision-language model answers token by token, anything else at once.
        image: (H, W, 3) uint8.
        request: the planner's name and the instruction.
        on_answer: is told of the answer while it is generated.
        is_cancelled: whether to give up, which a vision-language model asks after each token.

    Raises:
        CancelledError: if it was given up.
        Exception: what the planner raised beside PlanError, such as PlannerUnavailableError.
    """
    started_s = time.perf_counter()
    try:
        if isinstance(planner, VlmPlanner):
            plan: PlanLike = _streamed(planner, image, request, on_answer, is_cancelled)
        else:
            plan = planner.plan(image, request.instruction)
        answer = replace(request, raw_text=plan.raw_text[:MAX_TEXT_CHARS], paths=tuple(plan.paths))
    except NotInViewError as error:
        answer = replace(request, is_refusal=True, problem=error.reason, raw_text=error.raw_text[:MAX_TEXT_CHARS])
    except PlanError as error:
        answer = replace(request, problem=error.reason, raw_text=error.raw_text[:MAX_TEXT_CHARS])
    if is_cancelled():
        raise CancelledError
    return replace(answer, seconds=round(time.perf_counter() - started_s, 3))


def with_alternatives(planner: PlannerLike) -> PlannerLike:
    """Return a planner that draws several answers, where it can."""
    return replace(planner, samples=MORE_SAMPLES) if isinstance(planner, VlmPlanner) else planner


def without_refusals(planner: PlannerLike) -> PlannerLike:
    """Return a planner that always draws a path, where it can."""
    return planner.without_refusals() if isinstance(planner, VlmPlanner) else planner


def partial_waypoints(text: str, dialect: str, size: Size) -> tuple[UV, ...]:
    """Return the waypoints of an answer that is still being generated; () before the first.

    Args:
        text: so far.
        dialect: of the answer.
        size: of the image as the model sees it, pixels.

    >>> partial_waypoints("<ans>[(0.25, 0.32), (0.74, 0.2", "hamster", (64, 64))
    ((0.25, 0.32),)
    """
    closed = close_truncated(text.strip(), grammar(dialect, size), DIALECTS[dialect].closing)
    try:
        path = None if closed is None else parse(closed, dialect, size)
    except PlanError:  # a refusal, say
        return ()
    return () if path is None else tuple((u, v) for u, v in path.uv.tolist())


def _streamed(
    planner: VlmPlanner,
    image: NDArray[np.uint8],
    request: PlanState,
    on_answer: Callable[[PlanState], None],
    is_cancelled: Callable[[], bool],
) -> Plan:
    size = planner.image_scaling((image.shape[1], image.shape[0]))

    def on_token(text_of: Callable[[int], str], request_of_row: Sequence[int]) -> list[bool]:
        text = text_of(0)[:MAX_TEXT_CHARS]
        on_answer(replace(request, raw_text=text, partial=partial_waypoints(text, planner.dialect, size)))
        return [is_cancelled()] * len(request_of_row)

    [plan] = planner.plan_many([image], [request.instruction], on_token=on_token)
    if isinstance(plan, PlanError):
        raise plan
    return plan


def best_path(answer: PlanState) -> Path2D | None:
    """Return the path of an answer that was chosen, or None if it has none."""
    return answer.paths[answer.chosen] if answer.paths else None
