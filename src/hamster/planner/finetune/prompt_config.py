"""The prompt and dialect that a model is fine-tuned on, and whether it learns to refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hamster.dialects import Size
from hamster.label.dataset import kinds_of, shards_of
from hamster.label.export.examples import Place, Words
from hamster.planner.families import check_dialect, image_scaling
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.planner.prompts import PromptConfig, default_prompt, load_prompt_config


def prompt_config_for_training(
    name: str, model_type: str, dialect: str | None, parts: Sequence[WeightedDataset]
) -> PromptConfig:
    """Return the prompt and dialect to train.

    Args:
        name: of the model; those of an earlier fine-tuning stay, unless `dialect` is given.
        model_type: of transformers.
        dialect: to train, None for its own.
        parts: label sets; if they have instructions for what is not in view, the model learns to refuse.

    Raises:
        ValueError: if models of this type cannot answer in that dialect; names those that go with it.
    """
    own = load_prompt_config(name, model_type)
    trained = dialect or own.dialect
    check_dialect(model_type, trained, is_trained=True)
    abstains = any(has_absent_instructions(part) for part in parts)
    if trained == own.dialect and (own.abstains or not abstains):
        return own
    return PromptConfig(trained, default_prompt(trained, abstains), abstains)


def words_for(prompt_config: PromptConfig, processor: Any, gripper_fraction: float) -> tuple[Words, str]:
    """Return how `examples` are phrased, and a text that identifies it, for the cache.

    Args:
        prompt_config: prompt and dialect.
        processor: of the model.
        gripper_fraction: of the prompts state where the gripper is.
    """
    states_gripper = _evenly(gripper_fraction)

    def ask(instruction: str, gripper_uv: Place | None, size: Size) -> str:
        text = " ".join(instruction.split())  # as a planner does before it asks
        return prompt_config.format_prompt(text, gripper_uv if states_gripper() else None, size)

    about = [
        prompt_config.prompt,
        prompt_config.abstains,
        gripper_fraction,
        json.loads(processor.image_processor.to_json_string()),
    ]
    return Words(prompt_config.dialect, ask, image_scaling(processor)), json.dumps(about)


def has_absent_instructions(part: WeightedDataset) -> bool:
    """Return whether a label set has instructions that cannot be carried out on its images."""
    if "annotated" not in kinds_of(part.folder):
        return False
    files = (name for names in shards_of(part.folder, "annotated") for name in names if name.endswith(".jsonl"))
    lines = (line for name in files for line in (part.folder / name).open(encoding="utf-8"))
    return any(json.loads(line).get("absent") for line in lines)


def _evenly(fraction: float) -> Callable[[], bool]:
    """Return a function that returns True in this fraction of its calls, evenly spaced."""
    calls = 0

    def now() -> bool:
        nonlocal calls
        calls += 1
        return int(calls * fraction) > int((calls - 1) * fraction)

    return now
