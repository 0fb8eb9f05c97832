"""Train the nano planner on label sets.

    hamster train planner --config nano --out runs/planner
    torchrun --nproc-per-node 2 -m hamster train planner --config nano --out runs/planner     # two cores, or two GPUs

Accelerate runs it; with several processes, each computes a part of every batch.

The recipe: pointers at patches, a loss on where words point, classification of patches by word embeddings, many
instructions per image, Muon.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TextColumn
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import hamster.nano as nano
from hamster import training_state
from hamster.accelerator import start_accelerator
from hamster.files import lock_folder, set_usual_mode
from hamster.identity import checkpoint_digest, claim, flat
from hamster.label.dataset import content_digest
from hamster.nano.word_vectors import WordVectors
from hamster.planner.load_model import load_processor, no_progress_bars, read_model
from hamster.planner.nano_training import batches, corpus, optimisers
from hamster.planner.nano_training.batches import Batch, Share
from hamster.planner.nano_training.config import TrainConfig
from hamster.planner.nano_training.facts import Facts, FactTable, fact_texts
from hamster.planner.nano_training.held_out import evaluate
from hamster.planner.nano_training.losses import build_probes, height_loss, losses, presence_loss
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.provenance import run_info

WEIGHTS = {"answer": 1.0, "refusal": 1.0}
WEIGHTS |= dict.fromkeys(("mention", "early_mention", "landmark", "roles", "colour", "kind", "fact", "height"), 0.5)

LossFunction = Callable[[nano.HamsterNanoForConditionalGeneration, nn.ModuleList, Batch], dict[str, Tensor]]
LOSSES: dict[str, LossFunction] = {
    "": losses,
    "presence": presence_loss,
    "height": height_loss,
}  # by what alone is trained

MODULES = ("presence_heads", "height_size")  # options of modules that fine-tuning may add: nothing else depends on them
STATE = "state.safetensors"
RARE_WORD = 5000  # a word used less than once in so many instructions is spelt in bytes


def train_planner(
    config: TrainConfig,
    data: Sequence[WeightedDataset | Path],
    out_dir: Path,
    start: Path | None = None,
    tower: Path | None = None,
) -> dict[str, float]:
    """Train a planner, or resume the interrupted training in `out_dir`.

    Args:
        config: configuration; a resumed training must be given the same one.
        data: label sets of annotated images or episodes, mixed as their weights say.
        out_dir: gets `state.safetensors` (to resume), `tensorboard/`, and the model in `model/`.
        start: folder of a planner to fine-tune; by default a new one, whose vocabulary is the words of `data`.
        tower: folder of a planner whose image tower a new planner starts with; by default it starts at random.

    Returns:
        The last evaluation on held-out images, of all label sets and, where there are several, of each.

    Raises:
        ValueError: if no budget or two are set, a folder is not a label set, `out_dir` holds another training (other
            configuration, data, start or tower) or is in use by another process, the configuration changes modules of
            `start`, `tower` has other sizes or is given with `start`, or the loss is not finite.
    """
    if (config.steps is None) == (config.seconds is None):
        raise ValueError("a training needs a budget: set either steps or seconds")
    if start is not None and tower is not None:
        raise ValueError(f"a planner that is fine-tuned has a tower already: give either {start} or {tower}")
    parts = [part if isinstance(part, WeightedDataset) else WeightedDataset(part) for part in data]
    # In a batch without mentions or roles some weights have no gradient.
    accelerator = start_accelerator(True, DistributedDataParallelKwargs(find_unused_parameters=True))
    with lock_folder(out_dir) if accelerator.is_main_process else nullcontext():
        if accelerator.is_main_process:
            identity, has_begun = _identity(config, parts, start, tower), (out_dir / STATE).is_file()
            claim(out_dir, identity, has_begun, run_info(config.seed), _defaults())
        return _Run(config, parts, out_dir, start, tower, accelerator).run()


def _identity(
    config: TrainConfig, parts: Sequence[WeightedDataset], start: Path | None, tower: Path | None
) -> dict[str, Any]:
    """Return what must be the same to resume a training; how often it saves and evaluates may change."""
    free = ("save_every_s", "log_every", "watch_every", "evaluate_every", "evaluate_on")
    kept = {name: value for name, value in asdict(config).items() if name not in free}
    data = {f"data {part.folder}": f"{content_digest(part.folder)} x {part.weight:g}" for part in parts}
    starts = {"start": None if start is None else checkpoint_digest(start)}
    starts |= {} if tower is None else {"tower": checkpoint_digest(tower)}
    return {**starts, **data, **flat("config", kept)}


def _defaults() -> dict[str, Any]:
    """Return the defaults of all settings but the model's, which older trainings had before a setting existed."""
    return flat("config", {name: value for name, value in asdict(TrainConfig()).items() if name != "model"})


class _Run:
    """The state of a training."""

    def __init__(
        self,
        config: TrainConfig,
        parts: Sequence[WeightedDataset],
        out: Path,
        start: Path | None,
        tower: Path | None,
        accelerator: Accelerator,
    ) -> None:
        self.config, self.out, self.parts, self.accelerator = config, out, parts, accelerator
        self.is_fine_tuning = start is not None
        self.device, self.leads = str(self.accelerator.device), bool(self.accelerator.is_main_process)
        self.writer = SummaryWriter(str(out / "tensorboard")) if self.leads else None
        saved = out / "model" if (out / STATE).is_file() else start
        more = fact_texts() if config.facts else []
        vectors = WordVectors.read() if start is None and config.model.get("word_vector_size") else None
        listed = () if vectors is None else vectors.words
        self.processor = _new_processor(parts, more, listed) if saved is None else load_processor(saved)
        with self.accelerator.main_process_first():  # it writes the cache, which others then read
            self.corpus = corpus.load(parts, out / "cache", self.processor.tokenizer)
        self.shares, self.held_out_images = _split(self.corpus, parts, config.held_out)
        torch.manual_seed(config.seed)
        if start is None:
            model = _new_model(self.processor.tokenizer, vectors, config.model)
            if tower is not None:
                _copy_tower(model, tower)
        else:
            _check_options(start, config.model)
            model = read_model(nano.HamsterNanoForConditionalGeneration, start, may_lack=True, **config.model)
        self.model = model.train().to(self.device)
        if config.only:
            self.model.requires_grad_(False).get_submodule(config.only).requires_grad_(True)
        self.facts = FactTable.of(self.processor.tokenizer) if config.facts else None
        fact_names = None if self.facts is None else torch.from_numpy(self.facts.names)
        self.probes = build_probes(self.model, torch.from_numpy(self.corpus.object_words), fact_names).to(self.device)
        self.losses = self.accelerator.prepare(_Losses(self.model, self.probes, LOSSES[config.only]))
        rates = (config.muon_lr, config.adamw_lr, config.probe_lr)
        made = optimisers.build(self.model, self.probes, *rates, config.weight_decay)
        self.optimisers = {name: self.accelerator.prepare(optimiser) for name, optimiser in made.items()}
        self.step, self.elapsed, self.scores = 0, 0.0, dict[str, float]()
        self.modules: dict[str, nn.Module] = {"model": self.model, "probes": self.probes}
        if (out / STATE).is_file():
            needs = ("step", "elapsed", "scores")
            facts = training_state.load(out / STATE, self.modules, self.optimisers, {"probes"}, needs)
            self.step, self.elapsed, self.scores = facts["step"], facts["elapsed"], facts["scores"]

    @property
    def progress(self) -> float:
        """Return the share of the budget that is used up."""
        config = self.config
        return self.step / config.steps if config.steps else self.elapsed / (config.seconds or 1)

    def run(self) -> dict[str, float]:
        saved, sums = self.elapsed, defaultdict[str, float](float)
        if self.step == 0 and self.leads:
            self.processor.save_pretrained(self.out / "model")  # once and first: a resumed training reads it
            self.save()
            if self.is_fine_tuning:
                self.evaluate()  # what it starts from
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, refresh_per_second=1, console=Console(stderr=True), disable=not self.leads) as bar:
            task = bar.add_task("planner", total=1.0, note=self._note())
            bar.update(task, completed=min(self.progress, 1.0))
            while self.progress < 1:
                began = time.perf_counter()
                for name, value in self.train_step().items():
                    sums[name] += value
                self.step += 1
                if self.step % self.config.log_every == 0:
                    self._log({name: value / self.config.log_every for name, value in sums.items()}, "train")
                    sums.clear()
                self.elapsed = _of_first_process(self.elapsed + time.perf_counter() - began)
                if self.step % self.config.evaluate_every == 0:
                    self.evaluate()
                if self.elapsed - saved > self.config.save_every_s:
                    self.save()
                    saved = self.elapsed
                bar.update(task, completed=min(self.progress, 1.0), note=self._note())
        self.evaluate()
        self.save()
        return self.scores

    def train_step(self) -> dict[str, float]:
        config = self.config
        torch.manual_seed(hash((config.seed, self.step, self.accelerator.process_index)))  # of word dropout; resumable
        batch = batches.sample(
            self.corpus, self.shares, self.step, config.batch, config.each, config.seed, config.augmentation,
            self.device, self.accelerator.process_index, self.accelerator.num_processes,
        )  # fmt: skip
        if self.facts is not None:
            rng = np.random.default_rng([config.seed, self.step, self.accelerator.process_index, 2])
            batch = replace(batch, facts=Facts.draw(self.facts, config.facts, rng, self.device))
        rate = _rate(self.progress, config)
        with self.accelerator.autocast():
            losses = self.losses(batch)
        total = sum((WEIGHTS[name] * value for name, value in losses.items()), torch.zeros((), device=self.device))
        self.accelerator.backward(total)
        groups = self.optimisers["adamw"].param_groups
        self.accelerator.clip_grad_norm_([weight for group in groups for weight in group["params"]], 1.0)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * group["initial_lr"]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if self.leads and self.step % config.watch_every == 0:
            self._log(self._ranges(batch), "ranges")
        values = {name: float(value.detach()) for name, value in losses.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise ValueError(
                f"the loss {bad[0]} is not finite at step {self.step}: the training diverged. What {self.out} holds "
                "is from before; set lower learning rates in the configuration, and another --out"
            )
        return values

    def _ranges(self, batch: Batch) -> dict[str, float]:
        """Return statistics of states and attention per layer, on a few images of a batch."""
        with self.accelerator.autocast():
            layers = self.model.ranges(batch.pixel_values[:4], batch.ids[:4])
        return {f"layer{i}/{name}": value for i, layer in enumerate(layers, 1) for name, value in asdict(layer).items()}

    def evaluate(self) -> None:
        if not self.leads:
            return
        self.scores = {}
        for part, images in zip(self.parts, self.held_out_images, strict=True):
            scores = self._scores(images)
            kept = ("path", "refused", "falsely_refused")
            several = {f"{part.folder.name}/{name}": value for name, value in scores.items() if name in kept}
            self.scores |= scores if len(self.parts) == 1 else several
        if len(self.parts) > 1:
            self.scores["path"] = float(
                np.mean([value for name, value in self.scores.items() if name.endswith("/path")])
            )
        self._log(self.scores, "held_out")

    def _scores(self, images: NDArray[np.int64]) -> dict[str, float]:
        first = self.corpus.first
        pool = np.random.default_rng(0).permutation(np.concatenate([np.arange(first[i], first[i + 1]) for i in images]))
        possible = self.corpus.count[pool] > 0
        chosen = [part[: self.config.evaluate_on] for part in (pool[possible], pool[~possible])]
        return evaluate(self.model, self.corpus, np.sort(np.concatenate(chosen)), self.device)

    def save(self) -> None:
        """Write the model, and the state from which to resume."""
        if not self.leads:
            return
        with no_progress_bars():
            self.model.save_pretrained(self.out / "model")
        set_usual_mode(self.out / "model")
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=1))
        facts = {"step": self.step, "elapsed": self.elapsed, "scores": self.scores}
        training_state.save(self.out / STATE, self.modules, self.optimisers, facts)

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


class _Losses(nn.Module):
    """A module whose forward pass computes the losses, for data parallelism to wrap."""

    def __init__(
        self, model: nano.HamsterNanoForConditionalGeneration, probes: nn.ModuleList, loss_function: LossFunction
    ) -> None:
        super().__init__()
        self.model, self.probes, self.loss_function = model, probes, loss_function

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.loss_function(self.model, self.probes, batch)


def _of_first_process(value: float) -> float:
    """Return the first process's value, since clocks differ."""
    shared: float = broadcast_object_list([value])[0]
    return shared


def _new_processor(parts: Sequence[WeightedDataset], more: Sequence[str], listed: Sequence[str]) -> Any:
    """Build a processor whose vocabulary has the instructions' common words, all names, and the words of `more`.

    The words in `listed` that are not among them follow.
    """
    instructions, names = corpus.texts(parts)
    return nano.build_processor(instructions, [*names, *more], 1 + len(instructions) // RARE_WORD, listed)


def _new_model(
    tokenizer: Any, vectors: WordVectors | None, options: dict[str, Any]
) -> nano.HamsterNanoForConditionalGeneration:
    """Build a model with random weights and, if there are any, frozen word vectors."""
    sizes = nano.HamsterNanoConfig(
        vocab_size=len(tokenizer), learned_words=tokenizer.init_kwargs.get("learned_words"), **options
    )
    model = nano.HamsterNanoForConditionalGeneration(sizes)
    if vectors is not None:
        model.words.vectors.copy_(torch.from_numpy(vectors.table(tokenizer.get_vocab())))
    return model


def _copy_tower(model: nano.HamsterNanoForConditionalGeneration, folder: Path) -> None:
    """Give a new planner the image tower of a trained one."""
    trained = read_model(nano.HamsterNanoForConditionalGeneration, folder).tower.state_dict()
    shapes, wanted = ({name: tuple(w.shape) for name, w in s.items()} for s in (trained, model.tower.state_dict()))
    if shapes != wanted:
        name = next(name for name in {**wanted, **shapes} if shapes.get(name) != wanted.get(name))
        raise ValueError(f"the tower of {folder} has {name} {shapes.get(name)}, not {wanted.get(name)}: other sizes")
    model.tower.load_state_dict(trained)


def _check_options(start: Path, options: dict[str, Any]) -> None:
    """Refuse options of a fine-tuning that change trained modules, whose weights would be random again."""
    before = nano.HamsterNanoConfig.from_pretrained(start, local_files_only=True)
    for name, value in options.items():
        trained = getattr(before, name, None)
        if value != trained and (trained or name not in MODULES):
            raise ValueError(
                f"{start} was trained with {name} {trained}, not {value}; fine-tuning may only add "
                f"{' or '.join(MODULES)}"
            )


def _split(
    labels: corpus.Corpus, parts: Sequence[WeightedDataset], held_out: float
) -> tuple[list[Share], list[NDArray[np.int64]]]:
    """Split each label set into images to train on and its last images, which are held out."""
    shares, held_out_images, first = [], [], 0
    for size, part in zip(labels.sizes, parts, strict=True):
        images = first + np.flatnonzero(np.diff(labels.first)[first : first + size])  # those with an annotation
        if not len(images):
            raise ValueError(f"{part.folder}: no path has at most {nano.tokens.MAX_WAYPOINTS} waypoints")
        n_held_out = min(500, max(1, round(held_out * len(images))))
        shares.append(Share(images[:-n_held_out] if len(images) > 1 else images, part.weight))
        held_out_images.append(images[-n_held_out:])
        first += size
    return shares, held_out_images


def _rate(progress: float, config: TrainConfig) -> float:
    """Return the factor of the learning rates: linear warm-up, constant, linear decay to zero."""
    return min(1.0, (progress + 1e-4) / max(config.warmup, 1e-4), max(0.0, (1 - progress) / config.decay))
