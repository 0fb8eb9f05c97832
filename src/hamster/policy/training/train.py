"""Trains a policy by imitation. The same command again continues after whatever stopped it, kill -9 included.

One process or many: the steps are the same. Start it under `accelerate launch` or `torchrun` for several GPUs, and each
process takes its part of every batch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from hamster import training_state
from hamster.accelerator import start_accelerator
from hamster.files import lock_folder
from hamster.identity import checkpoint_digest, claim, claimed, flat
from hamster.label.dataset import content_digest
from hamster.policy import checkpoint
from hamster.policy.actor import AnyActor, Target
from hamster.policy.legacy_names import upgrade_run_identity, upgrade_tensor_name
from hamster.policy.planner_folder import planner_folder
from hamster.policy.policy_input import TensorBatch, as_float
from hamster.policy.registry import POLICY_TYPES, build_actor, policy_code
from hamster.policy.training.check_actor import check_actor
from hamster.policy.training.evaluate import evaluate
from hamster.policy.training.optimisers import build_optimisers, build_schedulers
from hamster.policy.training.packed_dataset import PackedDataset, load_packed_dataset
from hamster.policy.training.presets import TrainConfig, contains_planner, preset, recorded_config
from hamster.policy.training.samples import Batch, Samples, batches
from hamster.provenance import run_info
from hamster.terminal import show_table

STATE = "state.safetensors"
# Names of the digests, in run.json, of what a policy learns from.
DATA, CO_TRAINING_DATA, PLANNER_WEIGHTS = "data", "co-training data", "planner weights"


def train_policy(
    config: str | TrainConfig,
    data_dir: Path,
    out_dir: Path,
    pack_dir: Path | None = None,
    estimated_depth: bool = False,
    co_training_dir: Path | None = None,
) -> Path:
    """Train to the end of the configuration and return `out_dir`, which is a checkpoint then.

    Args:
        config: a preset's name or a configuration.
        data_dir: a label set of kind "episodes".
        out_dir: gets config.json, model.safetensors, train_info.json, metrics.json; to resume: state.safetensors,
            pack/; and tensorboard/.
        pack_dir: instead of pack/ there: one for all runs that pack the same data in the same way.
        estimated_depth: accept demonstrations whose depth a model estimated (`hamster.data.estimated_depth`).
        co_training_dir: label set of the second task, for configurations with `co_training`; its packed form goes to
            co_training/ in `out_dir`.

    Raises:
        ValueError: for an unknown preset, or a folder without such a label set; if a configuration with `co_training`
            has no `co_training_dir`, or one without has one; if `out_dir` holds a training of another configuration or
            other data, or another process is at work in it.
    """
    config = preset(config) if isinstance(config, str) else config
    accelerator = start_accelerator(config.bf16)
    with lock_folder(out_dir) if accelerator.is_main_process else nullcontext():
        return _train(config, data_dir, out_dir, pack_dir, estimated_depth, co_training_dir, accelerator)


def _train(
    config: TrainConfig,
    data_dir: Path,
    out_dir: Path,
    pack_dir: Path | None,
    estimated_depth: bool,
    co_training_dir: Path | None,
    accelerator: Accelerator,
) -> Path:
    _check_co_training(config, co_training_dir)
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            identity = {DATA: content_digest(data_dir), **flat("config", config.to_json())}
            identity |= {"estimated depth": True} if estimated_depth else {}
            if (code := policy_code(config.actor.type, config.actor.conditioners)) is not None:  # of users
                identity["policy code"] = code
            if co_training_dir is not None:
                identity[CO_TRAINING_DATA] = content_digest(co_training_dir)
            has_begun = (out_dir / STATE).is_file()
            defaults = flat("config", TrainConfig(actor=type(config.actor)()).to_json())  # of options new since then
            if contains_planner(config.actor):
                weights = checkpoint_digest(planner_folder(config.actor.planner))  # type: ignore[attr-defined]
                identity[PLANNER_WEIGHTS] = defaults[PLANNER_WEIGHTS] = weights  # earlier versions noted none
            claim(out_dir, identity, has_begun, run_info(config.seed), defaults, upgrade_run_identity)
        cache = pack_dir or out_dir / "pack"
        frames_between = config.frames_between_keyposes
        dataset = load_packed_dataset(data_dir, config.actor, cache, frames_between, estimated_depth)
    run = Run(config, dataset, out_dir, accelerator, co_training_dir)
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns(), "{task.fields[loss]}", console=console, disable=not run.is_main
    ) as progress:
        bar = progress.add_task("training", total=config.steps, completed=run.step, loss="")
        while run.step < config.steps:
            losses = run.advance()
            if run.step % 20 == 0 or run.step == config.steps:
                listed = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
                progress.update(bar, completed=run.step, loss=f"{listed}, waited {run.waited:.0%}")
            if run.is_main and (run.step % config.evaluate_every == 0 or run.step == config.steps):
                run.report(progress.console)
            if run.is_main and (run.step % config.save_every == 0 or run.step == config.steps):
                run.save()
    if run.is_main:
        checkpoint.save(out_dir, run.average, run.info())
    accelerator.wait_for_everyone()
    return out_dir


def _check_co_training(config: TrainConfig, folder: Path | None) -> None:
    """Raise ValueError if a second task is configured but has no data, or the reverse."""
    has_second_task = getattr(config.actor, "co_training", False)
    if has_second_task and folder is None:
        raise ValueError("this configuration trains on a second task, too: give its label set (--co-training-data DIR)")
    if folder is not None and not has_second_task:
        raise ValueError(
            f"this configuration of the {config.actor.type} policy has no second task: give no --co-training-data, or "
            "take --config monolithic-cotrained"
        )


class Run:
    """The state of a training run: weights, their moving average, optimisers, step."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: PackedDataset,
        out_dir: Path,
        accelerator: Accelerator | None = None,
        co_training_dir: Path | None = None,
    ) -> None:
        self.config, self.dataset, self.out_dir = config, dataset, out_dir
        self.accelerator = accelerator or start_accelerator(config.bf16)
        torch.manual_seed(config.seed)
        actor = build_actor(config.actor)
        co_training = None
        if co_training_dir is not None:
            with self.accelerator.main_process_first():
                co_training = actor.open_co_training(co_training_dir, out_dir / "co_training")
        self.samples = Samples(dataset, config, actor, co_training)
        if not POLICY_TYPES.is_builtin(config.actor.type):
            check_actor(actor, self.samples)
        actor.fit_normalization(*map(as_float, self.samples.tool_and_goal_poses()))
        self._ema = _moving_average(actor, config.ema_decay).to(self.accelerator.device)
        self.held_out_samples = Samples(dataset, config, self.average)
        self.loss = self.accelerator.prepare(_Loss(actor))
        optimisers = build_optimisers(self.actor, config)  # once the weights are where they stay
        self.optimisers = {name: self.accelerator.prepare(optimiser) for name, optimiser in optimisers.items()}
        self.step, self.seconds, self.waiting_s = 0, 0.0, 0.0
        self.metrics: list[dict[str, Any]] = []
        self.log = _tensorboard(out_dir / "tensorboard") if self.is_main else lambda tag, values, step: None
        self.file = out_dir / STATE
        if self.file.is_file():
            self._resume()
        self._ema.n_averaged.fill_(self.step + 1)
        self.schedulers = build_schedulers(self.optimisers.values(), config, self.step)
        self._batches: Iterator[Batch] | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and evaluates."""
        return bool(self.accelerator.is_main_process)

    @property
    def actor(self) -> AnyActor:
        """The actor with the trained weights."""
        actor: AnyActor = self.accelerator.unwrap_model(self.loss).actor
        return actor

    @property
    def average(self) -> AnyActor:
        """The actor with the moving average of the weights."""
        return cast(AnyActor, self._ema.module)

    @property
    def waited(self) -> float:
        """The fraction of the time that was spent waiting for data."""
        return self.waiting_s / max(self.seconds, 1e-9)

    def advance(self) -> dict[str, float]:
        """Make one step of the optimiser; return the losses before it."""
        started = time.perf_counter()
        inputs, target = self._next()
        self.waiting_s += time.perf_counter() - started
        self.loss.train()
        rank = self.accelerator.process_index
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step * 1009 + rank)
        with self.accelerator.autocast():
            losses = self.loss(inputs, target, generator)
        self.accelerator.backward(torch.stack(list(losses.values())).sum())
        self.accelerator.clip_grad_norm_(self.loss.parameters(), self.config.max_grad_norm)
        for optimiser in self.optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        for scheduler in self.schedulers:
            scheduler.step()
        self.step += 1
        self._ema.update_parameters(self.actor)
        self.seconds += time.perf_counter() - started
        values = {name: float(value.detach()) for name, value in losses.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise ValueError(
                f"the loss {bad[0]} is not finite at step {self.step}: the training diverged. What {self.file} holds "
                "is from before; give a lower learning rate in the configuration, and another --out"
            )
        self.log("loss", values, self.step)
        return values

    def report(self, console: Console) -> None:
        """Evaluate the averaged weights on the held-out episodes, or on some of training's where none are held out."""
        held_out = np.flatnonzero(self.dataset.held_out(self.config.held_out_every))
        table = evaluate(self.held_out_samples, held_out if len(held_out) else self.samples.rows[:64])
        is_held_out = len(held_out) > 0
        self.metrics.append({"step": self.step, "seconds": round(self.seconds, 1), "held_out": is_held_out} | table)
        self.log("held_out" if is_held_out else "training", table["all"], self.step)
        (self.out_dir / "metrics.json").write_text(json.dumps(self.metrics, indent=1) + "\n")
        title = f"step {self.step}, {self.seconds:.0f} s, {self.waited:.0%} waiting for data"
        rows = [[name, *(f"{value:g}" for value in row.values())] for name, row in table.items()]
        show_table(("keypose", *table["all"]), rows, title, console)

    def save(self) -> None:
        """Write what it takes to resume, in one atomic rename."""
        metadata = {"step": self.step, "seconds": self.seconds, "metrics": self.metrics}
        training_state.save(self.file, self._modules, self.optimisers, metadata | {"config": self.config.to_json()})

    def info(self) -> dict[str, Any]:
        """Return how this checkpoint was made."""
        info = run_info(seed=self.config.seed)
        metrics = self.metrics[-1] if self.metrics else {}
        cost = {"seconds": round(self.seconds, 1), "waiting": round(self.waited, 3)}
        counts = {"episodes": len(self.dataset.instructions), "frames": len(self.dataset.paths)}
        data: dict[str, Any] = {"sources": self.dataset.sources, **counts, "families": self.dataset.families}
        if self.dataset.left_out:
            data["left_out"] = self.dataset.left_out
        run = claimed(self.out_dir)
        digests = {name: run[name] for name in (DATA, CO_TRAINING_DATA, PLANNER_WEIGHTS) if name in run}
        return info | {"train": self.config.to_json(), "data": data, "digests": digests, **cost, "metrics": metrics}

    def _next(self) -> Batch:
        if self._batches is None:
            rank, n_processes = self.accelerator.process_index, self.accelerator.num_processes
            self._batches = batches(self.samples, self.step, rank, n_processes, self.config.num_workers)
        inputs, target = next(self._batches)
        return inputs.to(self.accelerator.device), target.to(self.accelerator.device)

    def _resume(self) -> None:
        before = training_state.read_metadata(self.file).get("config")
        if not isinstance(before, dict) or recorded_config(before, self.config) != self.config.to_json():
            raise ValueError(f"{self.out_dir} holds a run of another configuration; give another --out, or remove it")
        state = training_state.load(
            self.file,
            self._modules,
            self.optimisers,
            needs=("step", "seconds", "metrics"),
            rename=partial(upgrade_tensor_name, self.config.actor.type),
        )
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "average": self.average}


class _Loss(nn.Module):
    """An actor whose forward pass is its losses: what data parallelism wraps."""

    def __init__(self, actor: AnyActor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, inputs: TensorBatch, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        return self.actor.compute_loss(inputs, target, generator)


def _moving_average(actor: AnyActor, max_decay: float) -> AveragedModel:
    """Return the exponential moving average of an actor's weights, whose decay grows with the number of updates."""

    @torch.no_grad()
    def update(averages: Any, weights: Any, n_averaged: Tensor | int) -> None:
        n = int(n_averaged)
        torch._foreach_lerp_(averages, weights, 1 - min(max_decay, (1 + n) / (10 + n)))

    average = AveragedModel(actor, multi_avg_fn=update).eval().requires_grad_(False)
    average.n_averaged.fill_(1)  # the first update averages with the initial weights, instead of replacing them
    return average


def _tensorboard(folder: Path) -> Callable[[str, dict[str, float], int], None]:
    writer = SummaryWriter(str(folder))

    def write(tag: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{tag}/{name}", value, step)

    return write
