"""Prompts: the default one of every dialect, and `hamster.json` beside a fine-tuned checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hamster.dialects import DIALECTS, ScaledSize, Size, hamster, refusal, render
from hamster.dialects.formats import FORMATS
from hamster.path import Gripper, Path2D
from hamster.planner.families import check_dialect, family_of

FILENAME = "hamster.json"
FORMAT = 1
_MAX_BYTES = 1 << 16
_HEAD = """In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal.
"""
_GRIPPER = "The current position of the robot gripper is: {}."  # the paper's line
_SHORT = {"nano-tokens": "{instruction}", "compact": "path: {instruction}", "paligemma": "path {instruction}"}
_EXAMPLE = Path2D(
    np.array([[0.25, 0.32], [0.13, 0.24], [0.74, 0.21]]), np.array([-1, Gripper.CLOSED, Gripper.OPEN], np.int8)
)


@dataclass(frozen=True)
class PromptConfig:
    """The prompt of a checkpoint, and the dialect of its answers.

    Attributes:
        dialect: of its answers.
        prompt: with the placeholder `{instruction}`; "" takes `default_prompt`.
        abstains: whether it was trained to answer that what the instruction names is not in view.

    Raises:
        ValueError: for an unknown dialect, or a prompt without the placeholder.

    >>> PromptConfig("compact").format_prompt("stack the cubes")
    'path: stack the cubes'
    """

    dialect: str
    prompt: str = ""
    abstains: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "dialect", DIALECTS.canonical(self.dialect))
        if self.dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {self.dialect!r}; there are {', '.join(DIALECTS)}")
        object.__setattr__(self, "prompt", self.prompt or default_prompt(self.dialect))
        if "{instruction}" not in self.prompt:
            raise ValueError("a prompt needs the placeholder {instruction}")

    def format_prompt(
        self, instruction: str, gripper_uv: tuple[float, float] | None = None, size: Size | None = None
    ) -> str:
        """Return the text of the user's turn.

        Args:
            instruction: what the robot should do.
            gripper_uv: the gripper's relative place on the image, stated in the dialect's own coordinates if given.
            size: width and height in pixels of the image as the model sees it, for dialects that count pixels.
        """
        # Not str.format: prompts come with checkpoints, and a format string can reach into objects.
        text = self.prompt.replace("{instruction}", instruction)
        if gripper_uv is None:
            return text
        return f"{text}\n{_GRIPPER.format(DIALECTS[self.dialect].place(gripper_uv, size))}"

    def with_abstention(self, abstains: bool | None) -> PromptConfig:
        """Return the same with or without refusals (None: as it is); a prompt of the checkpoint's own stays."""
        if abstains is None or abstains == self.abstains:
            return self
        is_default = self.prompt == default_prompt(self.dialect, self.abstains)
        return PromptConfig(
            self.dialect, default_prompt(self.dialect, abstains) if is_default else self.prompt, abstains
        )

    def save(self, folder: Path | str) -> None:
        """Write `hamster.json` beside the checkpoint."""
        record = {"format": FORMAT, "dialect": self.dialect, "prompt": self.prompt, "abstains": self.abstains}
        (Path(folder) / FILENAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def default_prompt(dialect: str, abstains: bool = False) -> str:
    """Return a prompt for answers in this dialect: the published one for HAMSTER's own, else one with an example.

    Args:
        dialect: of the answer.
        abstains: whether the prompt says how to answer when what the instruction names is not in the image.
    """
    own = _SHORT.get(dialect) or DIALECTS[dialect].prompt
    prompt = own or (hamster.PROMPT if dialect == "hamster" else _with_example(dialect))
    if not abstains or dialect in _SHORT:
        return prompt
    return f"{prompt}\nIf what the command speaks of is not in the image, answer only: {refusal(dialect)}"


def load_prompt_config(name: Path | str, model_type: str) -> PromptConfig:
    """Load the prompt of a checkpoint: its `hamster.json`, else the default of its family.

    Args:
        name: a folder, or a hub id.
        model_type: of transformers.

    Raises:
        ValueError: if the record is damaged, or its dialect does not go with the family.
    """
    from hamster.planner.load import resolve_checkpoint

    file = Path(resolve_checkpoint(name)) / FILENAME
    if not file.is_file():
        return PromptConfig(family_of(model_type).dialect, family_of(model_type).prompt)
    prompt_config = _read(file)
    check_dialect(model_type, prompt_config.dialect, is_trained=True)
    return prompt_config


def _read(file: Path) -> PromptConfig:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"is larger than {_MAX_BYTES} bytes")
        record: Any = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"is not of format {FORMAT}")
        dialect, prompt, abstains = record["dialect"], record.get("prompt", ""), record.get("abstains", False)
        if not (isinstance(dialect, str) and isinstance(prompt, str) and isinstance(abstains, bool)):
            raise ValueError("needs dialect and prompt as text, abstains as true or false")
        return PromptConfig(dialect, prompt, abstains)
    except (ValueError, KeyError, OSError, RecursionError) as error:
        raise ValueError(f"{file} cannot be used: {error}") from None


def _with_example(dialect: str) -> str:
    if dialect not in FORMATS:  # a registered one
        raise ValueError(f"the dialect {dialect!r} has no prompt: give Dialect(prompt=…), or a prompt in {FILENAME}")
    text_format = FORMATS[dialect]
    example = render(_EXAMPLE, dialect, ScaledSize(640, 480))
    order = "x, then y" if text_format.order == "xy" else "y, then x"
    scale = (
        "in pixels of the image" if text_format.scale is None else f"from 0 to {text_format.top or text_format.scale:g}"
    )
    return f"{_HEAD}Answer in this form only, for example:\n{example}\nThe coordinates of a point are {order}, {scale}."
