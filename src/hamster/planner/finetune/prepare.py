"""What a run will learn, in which order, settled before anything is trained: the same in a dry run and in earnest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hamster.planner.finetune.chat import Chat
from hamster.planner.finetune.dataset import Indices
from hamster.planner.finetune.eval_metrics import choose
from hamster.planner.finetune.presets import SftConfig
from hamster.planner.finetune.prompt_config import prompt_config_for_training, words_of
from hamster.planner.finetune.sampler import epoch_length, order
from hamster.planner.finetune.samples import Samples
from hamster.planner.finetune.token_lengths import Fit, context_of, counted, fit
from hamster.planner.nano_training.pictures import Part
from hamster.planner.prompts import PromptConfig


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run before it starts.

    Attributes:
        name: of the model. speech: what it is taught to say.
        fit: how long samples are, and which are learned from. learned: (steps x batch,) samples in order.
        spare: held-out samples for the loss. asked: held-out samples for paths.
    """

    name: str
    config: SftConfig
    prompt_config: PromptConfig
    chat: Chat
    samples: Samples
    fit: Fit
    learned: Indices
    spare: Indices
    asked: Indices
    steps: int
    epoch: int


def prepare_run(
    name: str, model: Any, processor: Any, config: SftConfig, parts: Sequence[Part], cache: Path, dialect: str | None,
    pictured: bool = False,
) -> Prepared:  # fmt: skip
    """Reads the data once, and draws the order of the samples.

    Args:
        name: of the model, a folder or hub id. model: itself, or one without weights.
        processor: of the model.
        config: of the run.
        parts: label sets with their weights.
        cache: a folder for what was read, and counted.
        dialect: to teach, None for the model's own.
        pictured: whether every sample must have a picture: FSDP waits forever for a part that not all processes use.

    Raises:
        ValueError: for data without anything to learn from, or a dialect that the model cannot mean.
    """
    prompt_config = prompt_config_for_training(name, model.config.model_type, dialect, parts)
    words, about = words_of(prompt_config, processor, config.gripper)
    samples = Samples(parts, config.frames, words, cache, about)
    chat = Chat(processor, model)
    found = fit(samples, counted(samples, chat, cache), chat, context_of(model), pictured)
    held = samples.held_out(config.held_out)
    pools = [np.flatnonzero(found.fits & ~held & (samples.set_of == n)) for n in range(len(parts))]
    sizes, weights = [len(pool) for pool in pools], [part.weight for part in parts]
    epoch = epoch_length(sizes, weights)
    steps = config.steps or max(1, math.ceil(config.epochs * epoch / config.batch))
    learned = np.concatenate(pools)[order(sizes, weights, steps * config.batch, config.seed)]
    usable = found.fits & held
    spare, asked = (choose(samples, which, config.evaluate_on) for which in (usable, usable & samples.is_asked))
    return Prepared(name, config, prompt_config, chat, samples, found, learned, spare, asked, steps, epoch)


def accumulated(config: SftConfig, processes: int) -> int:
    """Batches of `micro_batch` that each process adds up to a step; ValueError if that is no whole number."""
    at_once = config.micro_batch * processes
    if config.batch % at_once:
        raise ValueError(
            f"a batch of {config.batch} cannot be divided among {processes} process(es) that take {config.micro_batch} "
            "at once: change --micro-batch, or the number of processes"
        )
    return config.batch // at_once
