"""Planners: an image and an instruction become a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import NotColourError, to_rgb
from hamster.path import Path2D, PlanError

if TYPE_CHECKING:
    from PIL.Image import Image

    from hamster.planner.vlm import VlmPlanner

LONGEST_INSTRUCTION = 2000
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
BUNDLED = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True, eq=False)
class Plan:
    """What a planner came up with.

    Attributes:
        paths: at least one, the best first, each with a score.
        raw_text: what the model printed.
        timings: seconds by stage.
    """

    paths: tuple[Path2D, ...]
    raw_text: str
    timings: Mapping[str, float]

    @property
    def path(self) -> Path2D:
        """The best path."""
        return self.paths[0]


class Planner(Protocol):
    """Anything that draws a path on an image."""

    def plan(self, image: NDArray[np.uint8] | Image, instruction: str) -> Plan:
        """Draw the path of `instruction` on an RGB image (H, W, 3) uint8; raises PlanError if none can be had."""
        ...


def load_planner(
    name_or_path: str | Path = "nano",
    *,
    device: str | None = None,
    dtype: str = "auto",
    dialect: str | None = None,
    abstains: bool | None = None,
    **options: Any,
) -> VlmPlanner:
    """A planner: a bundled one, a checkpoint of transformers, or a model behind an endpoint.

    Args:
        name_or_path: a bundled name, a folder, a hub id (OWNER/NAME), or http://HOST:PORT/v1#MODEL for anything that
            speaks OpenAI's protocol (without /v1 for HAMSTER_beta's server).
        device, dtype: of a local model, as in `load_model.load_model`.
        dialect: of the answers, where it is not what the checkpoint's `hamster.json` or its family say. Behind an
            endpoint it is what the server states, as `hamster serve planner` does, else HAMSTER's own text.
        abstains: whether the model may say that what it is asked for is not in view; by default if it was taught to.
            False keeps the bundled planner from it, too.
        options: of `VlmPlanner`: samples, temperature, max_new_tokens, constrained, seed.

    Raises:
        ValueError: there is no such planner, or it cannot answer in that dialect; the message lists what there is.
        PlannerUnavailableError: the endpoint cannot be asked now.
    """
    from hamster.planner import load  # transformers takes seconds to import

    name = str(name_or_path)
    if is_address(name):
        return load.behind_endpoint(name, dialect, abstains, options)
    return load.from_checkpoint(located(name), device, dtype, dialect, abstains, options)


def is_address(name_or_path: str | Path) -> bool:
    """Whether a planner's name is the address of a server."""
    return str(name_or_path).lower().startswith(("http://", "https://"))


def located(name_or_path: str | Path) -> str:
    """The folder of a checkpoint, or a hub id as it is; ValueError as `load_planner`."""
    name = str(name_or_path)
    return name if _HUB_ID.fullmatch(name) and not Path(name).exists() else str(find_planner(name))


def find_planner(name_or_path: str | Path) -> Path:
    """The folder of a checkpoint; ValueError as `load_planner`."""
    for folder in (BUNDLED / str(name_or_path), Path(name_or_path)):
        if (folder / "config.json").is_file():
            return folder
    raise ValueError(
        f"no planner {str(name_or_path)!r}; give one of {', '.join(bundled())}, or a folder with a checkpoint, "
        "a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL"
    )


def bundled() -> list[str]:
    """Names of the checkpoints that ship with the package."""
    return sorted(folder.parent.name for folder in BUNDLED.glob("*/config.json")) or ["(none is bundled)"]


def checked_instruction(instruction: str) -> str:
    """The instruction without white space around it; PlanError if it is empty or too long."""
    instruction = " ".join(instruction.split())
    if not instruction:
        raise PlanError("the instruction is empty; say what the robot should do")
    if len(instruction) > LONGEST_INSTRUCTION:
        raise PlanError(f"the instruction has {len(instruction)} characters; {LONGEST_INSTRUCTION} are allowed")
    return instruction


def checked_image(image: NDArray[np.uint8] | Image) -> NDArray[np.uint8]:
    """The image as an (H, W, 3) uint8 array; PlanError if it is anything else."""
    try:
        array = np.asarray(image if isinstance(image, np.ndarray) else to_rgb(image))
    except NotColourError as error:
        raise PlanError(f"the image has {error}") from None
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise PlanError(f"an image must be RGB, (H, W, 3) uint8, not {array.shape} {array.dtype}")
    return array
