"""Train the nano planner on an annotated label set.

    hamster train planner --config nano --out runs/planner
    torchrun --nproc-per-node 2 -m hamster train planner --config nano --out runs/planner     # two cores, or two GPUs

The recipe: pointers, a mention loss, dense losses tied to the words, many instructions behind each image, Muon.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path as File
from typing import Any

import numpy as np
import torch
from rich.progress import Progress, TextColumn
from torch import nn
from transformers import AutoProcessor

import hamster.nano as nano
from hamster import training_state
from hamster.planner.learning import batches, corpus, optimisers, parallel
from hamster.planner.learning.augment import Augmentation
from hamster.planner.learning.held_out import evaluate
from hamster.planner.learning.losses import build_probes, losses
from hamster.planner.quiet import quiet

WEIGHTS = {"answer": 1.0, "mention": 0.5, "early_mention": 0.5, "roles": 0.5, "colour": 0.5, "kind": 0.5}

COMMON = 5000  # a word that is used less than once in so many instructions is spelt


@dataclass(frozen=True)
class TrainConfig:
    """How to train a planner.

    Attributes:
        steps: optimiser steps, or None to train for `seconds`.
        seconds: of training, summed over all resumptions; the learning rate follows whichever budget is set.
        batch: images a step, of all processes together. each: instructions behind each image.
        muon_lr: of the decoder's matrices and the tower's kernels. adamw_lr: of everything else. weight_decay: of both.
        warmup: share of the budget in which the rates rise. decay: share in which they fall to zero.
        save_every_s: seconds between checkpoints. log_every: steps between metrics.
        evaluate_every: steps between evaluations on `evaluate_on` instructions of held-out images (the last
            `held_out` share of the set, at most 500).
        model: changes to `HamsterNanoConfig`.
        augmentation: how images are varied.
        seed: of everything.
    """

    steps: int | None = None
    seconds: float | None = None
    batch: int = 16
    each: int = 8
    muon_lr: float = 0.02
    adamw_lr: float = 1.5e-3
    weight_decay: float = 0.01
    warmup: float = 0.01
    decay: float = 0.45
    save_every_s: float = 120.0
    log_every: int = 20
    evaluate_every: int = 500
    evaluate_on: int = 192
    held_out: float = 0.05
    model: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


PRESETS = {
    "nano": TrainConfig(steps=7000, evaluate_every=1000, evaluate_on=256),
    "debug": TrainConfig(
        steps=20, batch=4, each=4, log_every=5, evaluate_every=10, evaluate_on=8,
        model={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
               "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]},
    ),
}  # fmt: skip


def preset(name: str) -> TrainConfig:
    """The configuration of that name; ValueError lists the names there are."""
    if name not in PRESETS:
        raise ValueError(f"no planner configuration {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def train_planner(
    config: TrainConfig, data_dir: File, out_dir: File, tokenizer_dir: File | None = None
) -> dict[str, float]:
    """Train, or go on where an interrupted training in `out_dir` stopped.

    Args:
        config: see `TrainConfig`; a resumed training must be given the same model.
        data_dir: an annotated label set.
        out_dir: gets `state.safetensors` (to resume), `tensorboard/`, and the model in `model/`.
        tokenizer_dir: a saved processor to start from; without one the words of `data_dir` are the vocabulary.

    Returns:
        The last evaluation on held-out images.

    Raises:
        ValueError: no budget, no label set, or tensorboard is not installed.
    """
    if (config.steps is None) == (config.seconds is None):
        raise ValueError("a training needs a budget: set either steps or seconds")
    return _Run(config, data_dir, out_dir, tokenizer_dir).run()


class _Run:
    """A training's state."""

    def __init__(self, config: TrainConfig, data: File, out: File, tokenizer_dir: File | None) -> None:
        self.config, self.out = config, out
        self.device, self.leads = parallel.start(), parallel.rank() == 0
        self.writer = _writer(out / "tensorboard") if self.leads else None
        saved = out / "model" if (out / "state.safetensors").is_file() else tokenizer_dir
        self.processor = _new_processor(data) if saved is None else AutoProcessor.from_pretrained(saved)
        with parallel.first_alone():
            self.corpus = corpus.load(data, out / "cache", self.processor.tokenizer)
        aside = min(500, max(1, round(config.held_out * len(self.corpus))))
        self.images = len(self.corpus) - aside if len(self.corpus) > 1 else 1
        torch.manual_seed(config.seed)
        sizes = nano.HamsterNanoConfig(vocab_size=len(self.processor.tokenizer), **config.model)
        self.model = nano.HamsterNanoForConditionalGeneration(sizes).train().to(self.device)
        self.probes = build_probes(self.model, torch.from_numpy(self.corpus.looks)).to(self.device)
        self.optimisers = optimisers.build(
            self.model, self.probes, config.muon_lr, config.adamw_lr, config.weight_decay
        )
        self.step, self.elapsed, self.scores = 0, 0.0, dict[str, float]()
        self.modules: dict[str, nn.Module] = {"model": self.model, "probes": self.probes}
        if (out / "state.safetensors").is_file():
            facts = training_state.load(out / "state.safetensors", self.modules, self.optimisers, {"probes"})
            self.step, self.elapsed, self.scores = facts["step"], facts["elapsed"], facts["scores"]

    @property
    def progress(self) -> float:
        """Share of the budget that is used up."""
        config = self.config
        return self.step / config.steps if config.steps else self.elapsed / (config.seconds or 1)

    def run(self) -> dict[str, float]:
        saved, sums = self.elapsed, defaultdict[str, float](float)
        if self.step == 0 and self.leads:
            self.processor.save_pretrained(self.out / "model")  # once and first: a resumed training reads it
            self.save()
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, refresh_per_second=1, disable=not self.leads) as bar:
            task = bar.add_task("planner", total=1.0, note="")
            while self.progress < 1:
                began = time.perf_counter()
                for name, value in self.train_step().items():
                    sums[name] += value
                self.step += 1
                if self.step % self.config.log_every == 0:
                    self._log({name: value / self.config.log_every for name, value in sums.items()}, "train")
                    sums.clear()
                self.elapsed = parallel.agree(self.elapsed + time.perf_counter() - began)
                if self.step % self.config.evaluate_every == 0:
                    self.evaluate()
                if self.elapsed - saved > self.config.save_every_s:
                    self.save()
                    saved = self.elapsed
                bar.update(task, completed=self.progress, note=self._note())
        self.evaluate()
        self.save()
        return self.scores

    def train_step(self) -> dict[str, float]:
        config = self.config
        batch = batches.sample(
            self.corpus, self.images, self.step, config.batch, config.each, config.seed, config.augmentation,
            self.device, parallel.rank(), parallel.processes(),
        )  # fmt: skip
        rate = _rate(self.progress, config)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16):
            found = losses(self.model, self.probes, batch)
        total = sum((WEIGHTS[name] * value for name, value in found.items()), torch.zeros((), device=self.device))
        total.backward()  # type: ignore[no-untyped-call]
        parallel.average_gradients(self.modules.values())
        nn.utils.clip_grad_norm_(self.optimisers["adamw"].param_groups[0]["params"], 1.0)
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = rate * (config.muon_lr if name == "muon" else config.adamw_lr)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return {name: float(value.detach()) for name, value in found.items()}

    def evaluate(self) -> None:
        if not self.leads:
            return
        first = self.corpus.first
        spare = np.arange(first[min(self.images, len(self.corpus) - 1)], first[-1])
        chosen = np.random.default_rng(0).permutation(spare)[: self.config.evaluate_on]
        self.scores = evaluate(self.model, self.corpus, np.sort(chosen), self.device)
        self._log(self.scores, "held_out")

    def save(self) -> None:
        """Write the model, to be used, and the state, to be resumed."""
        if not self.leads:
            return
        with quiet():
            self.model.save_pretrained(self.out / "model")
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=1))
        facts = {"step": self.step, "elapsed": self.elapsed, "scores": self.scores}
        training_state.save(self.out / "state.safetensors", self.modules, self.optimisers, facts)

    def _log(self, values: dict[str, float], group: str) -> None:
        if self.writer is None:
            return
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, self.step)
        line = {
            "step": self.step,
            "elapsed_s": round(self.elapsed, 1),
            "cpu_s": round(time.process_time(), 1),
            **{k: round(v, 4) for k, v in values.items()},
        }
        with (self.out / f"{group}.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def _note(self) -> str:
        speed = self.step * self.config.batch / max(self.elapsed, 1e-9)
        right = f", path right {self.scores['path']:.2f}" if self.scores else ""
        return f"step {self.step}, {speed:.0f} images/s{right}"


def _new_processor(data: File) -> Any:
    instructions, names = corpus.texts(data)
    return nano.build_processor(instructions, names, fewest=1 + len(instructions) // COMMON)


def _rate(progress: float, config: TrainConfig) -> float:
    return min(1.0, (progress + 1e-4) / max(config.warmup, 1e-4), max(0.0, (1 - progress) / config.decay))


def _writer(folder: File) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("training writes TensorBoard metrics: pip install 'hamster-vla[train]'") from None
    return SummaryWriter(str(folder))
