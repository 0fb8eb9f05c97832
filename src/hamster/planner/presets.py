"""Named configurations of training a planner: the nano planner's own, and fine-tuning of any vision-language model."""

from __future__ import annotations

from hamster.planner.finetune.presets import PRESETS as FINETUNE
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.nano_training.config import PRESETS as NANO
from hamster.planner.nano_training.config import TrainConfig
from hamster.registry import unknown_name

PRESETS: dict[str, TrainConfig | FinetuneConfig] = {**NANO, **FINETUNE}


def preset(name: str) -> TrainConfig | FinetuneConfig:
    """Return the configuration of that name; ValueError lists the names there are, the nearest one first."""
    if name in PRESETS:
        return PRESETS[name]
    raise ValueError(
        f"{unknown_name('planner configuration', name, PRESETS)} {', '.join(FINETUNE)} fine-tune any model given by "
        "--model, the others are the nano planner's own"
    )
