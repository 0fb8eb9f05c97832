"""In which words a model is taught: its dialect, its prompt, and whether it learns to say that something is absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hamster.dialects import Size
from hamster.label.dataset import kinds_of, shards_of
from hamster.label.export.examples import Place, Words
from hamster.planner.families import check_dialect, family_of, image_scaling
from hamster.planner.nano_training.pictures import Part
from hamster.planner.prompts import PromptConfig, default_prompt, load_prompt_config


def prompt_config_for_training(name: str, model_type: str, dialect: str | None, parts: Sequence[Part]) -> PromptConfig:
    """What the model will be asked, and how it will answer.

    Args:
        name: of the model; what an earlier fine-tune taught it stays, unless `dialect` is given.
        model_type: of transformers.
        dialect: to teach, None for its own.
        parts: label sets; if they tell what is not in view, it learns to abstain.

    Raises:
        ValueError: if models of this type cannot mean that dialect; names those that go with it.
    """
    known = load_prompt_config(name, model_type)
    taught = dialect or known.dialect
    check_dialect(model_type, taught, is_trained=True)
    abstains = any(tells_absence(part) for part in parts)
    if taught == known.dialect and (known.abstains or not abstains):
        return known
    return PromptConfig(taught, default_prompt(taught, abstains), abstains)


def words_of(prompt_config: PromptConfig, processor: Any, gripper: float) -> tuple[Words, str]:
    """For `examples`, and a text that changes with them; a share `gripper` of the questions says where that is."""
    told = _share(gripper)

    def ask(instruction: str, gripper_uv: Place | None, size: Size) -> str:
        text = " ".join(instruction.split())  # as a planner does before it asks
        return prompt_config.format_prompt(text, gripper_uv if told() else None, size)

    about = [
        prompt_config.prompt,
        prompt_config.abstains,
        gripper,
        json.loads(processor.image_processor.to_json_string()),
    ]
    return Words(prompt_config.dialect, ask, image_scaling(processor)), json.dumps(about)


def longest_answer(model_type: str) -> int:
    """Tokens after which an answer is cut off."""
    return family_of(model_type).max_new_tokens


def tells_absence(part: Part) -> bool:
    """Whether a label set has instructions that cannot be carried out on its images."""
    if "annotated" not in kinds_of(part.folder):
        return False
    files = (name for names in shards_of(part.folder, "annotated") for name in names if name.endswith(".jsonl"))
    lines = (line for name in files for line in (part.folder / name).open(encoding="utf-8"))
    return any(json.loads(line).get("absent") for line in lines)


def _share(share: float) -> Callable[[], bool]:
    """A function that is true that often, evenly."""
    calls = 0

    def now() -> bool:
        nonlocal calls
        calls += 1
        return int(calls * share) > int((calls - 1) * share)

    return now
