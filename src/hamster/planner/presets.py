"""Named configurations of training a planner: the nano planner's own, and fine-tuning of any vision-language model."""

from __future__ import annotations

import difflib

from hamster.planner.finetune.presets import PRESETS as SFT
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.nano_training.config import PRESETS as NANO
from hamster.planner.nano_training.config import TrainConfig

PRESETS: dict[str, TrainConfig | FinetuneConfig] = {**NANO, **SFT}


def preset(name: str) -> TrainConfig | FinetuneConfig:
    """The configuration of that name; ValueError lists the names there are, the likeliest one first."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"no planner configuration {name!r}; {hint}there are {', '.join(NANO)} for the nano planner, "
        f"and {', '.join(SFT)} for any model given by --model"
    )
