"""What a model is asked, and how it answers: the prompt of every dialect, and `hamster.json` beside a fine-tune."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hamster.dialects import DIALECTS, ScaledSize, Size, hamster, refusal, render
from hamster.dialects.formats import SURFACES
from hamster.path import Gripper, Path2D
from hamster.planner.families import check_pairing, family_of

RECORD = "hamster.json"
FORMAT = 1
_LARGEST_RECORD = 1 << 16
_HEAD = """In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal.
"""
_GRIPPER = "The current position of the robot gripper is: {}."  # the paper's line
_SHORT = {"nano": "{instruction}", "compact": "path: {instruction}", "paligemma": "path {instruction}"}
_EXAMPLE = Path2D(
    np.array([[0.25, 0.32], [0.13, 0.24], [0.74, 0.21]]), np.array([-1, Gripper.CLOSED, Gripper.OPEN], np.int8)
)


@dataclass(frozen=True)
class Speech:
    """How one checkpoint is asked and answers.

    Attributes:
        dialect: of its answers.
        prompt: with a place for `{instruction}`.
        abstains: whether it was taught to say that what the instruction speaks of is not in view.

    Raises:
        ValueError: for an unknown dialect, or a prompt without that place.
    """

    dialect: str
    prompt: str = ""
    abstains: bool = False

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {self.dialect!r}; there are {', '.join(DIALECTS)}")
        object.__setattr__(self, "prompt", self.prompt or prompt_of(self.dialect))
        if "{instruction}" not in self.prompt:
            raise ValueError("a prompt needs a place for {instruction}")

    def question(
        self, instruction: str, gripper_uv: tuple[float, float] | None = None, size: Size | None = None
    ) -> str:
        """The user's turn; where the gripper is, if that is given, is said in the dialect's own coordinates.

        Args:
            instruction: what the robot should do.
            gripper_uv: the gripper's place on the image, relative.
            size: of the image as the model sees it, for dialects that count pixels.
        """
        # Not str.format: prompts come with checkpoints, and a format string can reach into objects.
        text = self.prompt.replace("{instruction}", instruction)
        if gripper_uv is None:
            return text
        return f"{text}\n{_GRIPPER.format(DIALECTS[self.dialect].place(gripper_uv, size))}"

    def abstaining(self, abstains: bool | None) -> Speech:
        """The same with or without refusals (None: as it is); a prompt of the checkpoint's own stays."""
        if abstains is None or abstains == self.abstains:
            return self
        is_ours = self.prompt == prompt_of(self.dialect, self.abstains)
        return Speech(self.dialect, prompt_of(self.dialect, abstains) if is_ours else self.prompt, abstains)

    def save(self, folder: Path | str) -> None:
        """Write `hamster.json` beside the checkpoint."""
        record = {"format": FORMAT, "dialect": self.dialect, "prompt": self.prompt, "abstains": self.abstains}
        (Path(folder) / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def prompt_of(dialect: str, abstains: bool = False) -> str:
    """What to ask so that a model answers in this dialect: the published words for HAMSTER's own, else an example.

    Args:
        dialect: of the answer.
        abstains: whether to say how to answer when what the command speaks of is not in the image.
    """
    prompt = _SHORT.get(dialect) or (hamster.PROMPT if dialect == "hamster" else _with_example(dialect))
    if not abstains or dialect in _SHORT:
        return prompt
    return f"{prompt}\nIf what the command speaks of is not in the image, answer only: {refusal(dialect)}"


def speech_of(name: Path | str, model_type: str) -> Speech:
    """How the checkpoint in a folder, or under a hub id, is asked: by its `hamster.json`, else as its family.

    Raises:
        ValueError: if the record is damaged, or its dialect does not go with the family.
    """
    from transformers.utils import cached_file

    found = cached_file(
        str(name), RECORD, local_files_only=Path(name).is_dir(), _raise_exceptions_for_missing_entries=False
    )
    if found is None:
        return Speech(family_of(model_type).dialect)
    speech = _read(Path(found))
    check_pairing(model_type, speech.dialect, taught=True)
    return speech


def _read(file: Path) -> Speech:
    try:
        if file.stat().st_size > _LARGEST_RECORD:
            raise ValueError(f"is larger than {_LARGEST_RECORD} bytes")
        record: Any = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"is not of format {FORMAT}")
        dialect, prompt, abstains = record["dialect"], record.get("prompt", ""), record.get("abstains", False)
        if not (isinstance(dialect, str) and isinstance(prompt, str) and isinstance(abstains, bool)):
            raise ValueError("wants dialect and prompt as text, abstains as true or false")
        return Speech(dialect, prompt, abstains)
    except (ValueError, KeyError, OSError, RecursionError) as error:
        raise ValueError(f"{file} cannot be used: {error}") from None


def _with_example(dialect: str) -> str:
    surface = SURFACES[dialect]
    example = render(_EXAMPLE, dialect, ScaledSize(640, 480))
    order = "x, then y" if surface.order == "xy" else "y, then x"
    scale = "in pixels of the image" if surface.scale is None else f"from 0 to {surface.top or surface.scale:g}"
    return f"{_HEAD}Answer in this form only, for example:\n{example}\nThe coordinates of a point are {order}, {scale}."
