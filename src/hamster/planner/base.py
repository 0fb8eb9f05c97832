"""What a planner is: an image and an instruction become a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.data.images import NotColourError, to_rgb
from hamster.data.instructions import MAX_INSTRUCTION_CHARS
from hamster.path import Gripper, Path2D, PlanError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False, init=False)
class Plan:
    """The result of planning: one or more candidate paths.

    Args:
        paths: candidates, the best first, each with a score where the planner has one. Also taken: a single `Path2D`,
            or the waypoints (N, 2) of one, relative image coordinates; its gripper states are then unknown.
        raw_text: the model's output.
        timings: seconds by stage.

    >>> Plan([[0.2, 0.3], [0.6, 0.4]]).path.uv.tolist()
    [[0.2, 0.3], [0.6, 0.4]]
    """

    paths: tuple[Path2D, ...]
    raw_text: str
    timings: Mapping[str, float]

    def __init__(
        self,
        paths: Path2D | Iterable[Path2D] | ArrayLike,
        raw_text: str = "",
        timings: Mapping[str, float] | None = None,
    ) -> None:
        object.__setattr__(self, "paths", _as_paths(paths))
        object.__setattr__(self, "raw_text", raw_text)
        object.__setattr__(self, "timings", {} if timings is None else timings)

    @property
    def path(self) -> Path2D:
        """The best path."""
        return self.paths[0]


class Planner(Protocol):
    """Anything that draws a path on an image."""

    def plan(self, image: NDArray[np.uint8] | Image, instruction: str) -> Plan:
        """Draw the path of `instruction` on an RGB image (H, W, 3) uint8; raises PlanError if none can be had."""
        ...


def checked_plan(plan: Any, planner: object) -> Plan:
    """Return what a planner returned; ValueError, with the way out, if it is no plan."""
    if not isinstance(plan, Plan):
        raise ValueError(
            f"plan() of {type(planner).__name__} returned a {type(plan).__name__}; return hamster.Plan(path), or raise "
            "hamster.PlanError"
        )
    return plan


def validate_instruction(instruction: str) -> str:
    """Return the instruction with single spaces and none around it; PlanError if it is empty or too long.

    >>> validate_instruction("  pick up   the cube ")
    'pick up the cube'
    """
    instruction = " ".join(instruction.split())
    if not instruction:
        raise PlanError("the instruction is empty; say what the robot should do")
    if len(instruction) > MAX_INSTRUCTION_CHARS:
        raise PlanError(f"the instruction has {len(instruction)} characters; {MAX_INSTRUCTION_CHARS} are allowed")
    return instruction


def validate_image(image: NDArray[np.uint8] | Image) -> NDArray[np.uint8]:
    """Return the image as an (H, W, 3) uint8 array; PlanError if it is anything else."""
    try:
        array = np.asarray(image if isinstance(image, np.ndarray) else to_rgb(image))
    except NotColourError as error:
        raise PlanError(f"the image has {error}") from None
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise PlanError(f"an image must be RGB, (H, W, 3) uint8, not {array.shape} {array.dtype}")
    return array


def _as_paths(paths: Any) -> tuple[Path2D, ...]:
    if isinstance(paths, Path2D):
        return (paths,)
    candidates = tuple(paths)
    if len(candidates) and all(isinstance(candidate, Path2D) for candidate in candidates):
        return tuple(candidates)
    if not len(candidates):
        raise PlanError("a plan needs at least one path; raise PlanError or NotInViewError where there is none")
    uv = np.asarray(candidates, np.float64)
    return (Path2D(uv, np.full(len(uv), Gripper.UNKNOWN, np.int8)),)
