"""Prepare a run: which samples are trained on, in which order; the same in a dry run and in a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hamster.planner.finetune.chat import ChatCollator
from hamster.planner.finetune.dataset import Indices
from hamster.planner.finetune.eval_metrics import choose
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.finetune.prompt_config import prompt_config_for_training, words_for
from hamster.planner.finetune.sampler import epoch_length, sample_order
from hamster.planner.finetune.samples import Samples
from hamster.planner.finetune.token_lengths import SampleFit, cached_token_counts, context_of, select_fitting
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.planner.prompts import PromptConfig


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run before it starts.

    Attributes:
        name: of the model.
        config: of the run.
        prompt_config: the prompt and dialect to train.
        chat: tokenises samples.
        samples: of all label sets.
        fit: lengths of the samples, and which of them fit the model.
        train_samples: (steps x batch_size,) indices of samples, in training order.
        loss_samples: indices of held-out samples for the loss.
        path_samples: indices of held-out samples for path metrics.
        steps: of the optimiser.
        epoch: samples in an epoch.
    """

    name: str
    config: FinetuneConfig
    prompt_config: PromptConfig
    chat: ChatCollator
    samples: Samples
    fit: SampleFit
    train_samples: Indices
    loss_samples: Indices
    path_samples: Indices
    steps: int
    epoch: int


def prepare_run(
    name: str, model: Any, processor: Any, config: FinetuneConfig, parts: Sequence[WeightedDataset], cache: Path,
    dialect: str | None, need_image: bool = False,
) -> Prepared:  # fmt: skip
    """Read the data once, and draw the order of the samples.

    Args:
        name: of the model, a folder or hub id.
        model: itself, or one without weights.
        processor: of the model.
        config: of the run.
        parts: label sets with their weights.
        cache: a folder for converted samples and their token counts.
        dialect: to train, None for the model's own.
        need_image: whether every sample must have an image: FSDP waits forever for a module that not all processes use.

    Raises:
        ValueError: for data without a usable sample, or a dialect that the model cannot answer in.
    """
    prompt_config = prompt_config_for_training(name, model.config.model_type, dialect, parts)
    words, about = words_for(prompt_config, processor, config.gripper_prompt_fraction)
    samples = Samples(parts, config.frames_per_episode, words, cache, about)
    chat = ChatCollator(processor, model)
    fit = select_fitting(samples, cached_token_counts(samples, chat, cache), chat, context_of(model), need_image)
    is_held_out = samples.held_out(config.held_out_fraction)
    pools = [np.flatnonzero(fit.fits & ~is_held_out & (samples.set_of == n)) for n in range(len(parts))]
    sizes, weights = [len(pool) for pool in pools], [part.weight for part in parts]
    epoch = epoch_length(sizes, weights)
    steps = config.steps or max(1, math.ceil(config.epochs * epoch / config.batch_size))
    train_samples = np.concatenate(pools)[sample_order(sizes, weights, steps * config.batch_size, config.seed)]
    usable = fit.fits & is_held_out
    loss_samples = choose(samples, usable, config.eval_samples)
    path_samples = choose(samples, usable & samples.is_instruction, config.eval_samples)
    return Prepared(
        name, config, prompt_config, chat, samples, fit, train_samples, loss_samples, path_samples, steps, epoch
    )


def accumulation_steps(config: FinetuneConfig, processes: int) -> int:
    """Return how many micro-batches each process accumulates for a step; ValueError if it is not a whole number."""
    at_once = config.micro_batch_size * processes
    if config.batch_size % at_once:
        raise ValueError(
            f"a batch of {config.batch_size} cannot be divided among {processes} process(es) that take "
            f"{config.micro_batch_size} at once: change --micro-batch, or the number of processes"
        )
    return config.batch_size // at_once
