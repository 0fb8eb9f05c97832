"""Trains a policy by imitation. The same command again continues after whatever stopped it, kill -9 included.

One process or many: the steps are the same. Start it under `accelerate launch` or `torchrun` for several GPUs, and each
process takes its part of every batch.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from hamster import training_state
from hamster.accelerator import start_accelerator
from hamster.files import lock_folder
from hamster.identity import claim, flat
from hamster.label.dataset import content_digest
from hamster.policy import checkpoint
from hamster.policy.actor import AnyActor, Target, Tensors, as_float
from hamster.policy.registry import build
from hamster.policy.training import optimisers
from hamster.policy.training.evaluate import evaluate
from hamster.policy.training.packed_dataset import Pack, load_pack
from hamster.policy.training.presets import TrainConfig, preset
from hamster.policy.training.samples import Batch, Samples, batches
from hamster.provenance import run_info
from hamster.terminal import show_table

STATE = "state.safetensors"


def train_policy(config: str | TrainConfig, data_dir: Path, out_dir: Path, pack_dir: Path | None = None) -> Path:
    """Trains to the end of the configuration and leaves the checkpoint folder in `out_dir`.

    Args:
        config: a preset's name or a configuration.
        data_dir: a label set of kind "episodes".
        out_dir: gets config.json, model.safetensors, train_info.json, metrics.json; to go on: state.safetensors, pack/;
            and tensorboard/.
        pack_dir: instead of pack/ there: one for all runs that pack the same data in the same way.

    Raises:
        ValueError: for an unknown preset, or a folder without such a label set; if `out_dir` holds a training of
            another configuration or other data, or another process is at work in it.
    """
    config = preset(config) if isinstance(config, str) else config
    accelerator = start_accelerator(config.bf16)
    with lock_folder(out_dir) if accelerator.is_main_process else nullcontext():
        return _train(config, data_dir, out_dir, pack_dir, accelerator)


def _train(config: TrainConfig, data_dir: Path, out_dir: Path, pack_dir: Path | None, accelerator: Accelerator) -> Path:
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            identity = {"data": content_digest(data_dir), **flat("config", _config(config))}
            claim(out_dir, identity, (out_dir / STATE).is_file(), run_info(config.seed))
        pack = load_pack(data_dir, config.actor, pack_dir or out_dir / "pack", config.between)
    run = Run(config, pack, out_dir, accelerator)
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns(), "{task.fields[loss]}", console=console, disable=not run.is_main
    ) as progress:
        bar = progress.add_task("training", total=config.steps, completed=run.step, loss="")
        while run.step < config.steps:
            losses = run.advance()
            if run.step % 20 == 0 or run.step == config.steps:
                said = " ".join(f"{k} {v:.3f}" for k, v in losses.items())
                progress.update(bar, completed=run.step, loss=f"{said}, waited {run.waited:.0%}")
            if run.is_main and (run.step % config.evaluate_every == 0 or run.step == config.steps):
                run.report(progress.console)
            if run.is_main and (run.step % config.save_every == 0 or run.step == config.steps):
                run.save()
    if run.is_main:
        checkpoint.save(out_dir, run.average, run.info())
    accelerator.wait_for_everyone()
    return out_dir


class Run:
    """The state of a training run: weights, their average, optimiser, step."""

    def __init__(self, config: TrainConfig, pack: Pack, out_dir: Path, accelerator: Accelerator | None = None) -> None:
        self.config, self.pack, self.out_dir = config, pack, out_dir
        self.accelerator = accelerator or start_accelerator(config.bf16)
        torch.manual_seed(config.seed)
        actor = build(config.actor)
        self.samples = Samples(pack, config, actor)
        actor.begin(*map(as_float, self.samples.moves()))
        self.average = copy.deepcopy(actor).eval().requires_grad_(False).to(self.accelerator.device)
        self.measured = Samples(pack, config, self.average)
        self.losses = self.accelerator.prepare(_Losses(actor))
        made = optimisers.build(self.actor, config)  # once the weights are where they stay
        self.optimisers = {name: self.accelerator.prepare(each) for name, each in made.items()}
        self.step, self.seconds, self.waiting_s = 0, 0.0, 0.0
        self.metrics: list[dict[str, Any]] = []
        self.log = _tensorboard(out_dir / "tensorboard") if self.is_main else lambda tag, values, step: None
        self.file = out_dir / STATE
        if self.file.is_file():
            self._resume()
        self._batches: Iterator[Batch] | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and measures."""
        return bool(self.accelerator.is_main_process)

    @property
    def actor(self) -> AnyActor:
        """The weights that are trained."""
        actor: AnyActor = self.accelerator.unwrap_model(self.losses).actor
        return actor

    @property
    def waited(self) -> float:
        """The share of the time that was spent waiting for data."""
        return self.waiting_s / max(self.seconds, 1e-9)

    def advance(self) -> dict[str, float]:
        """One step of the optimiser; the losses before it."""
        started = time.perf_counter()
        inputs, target = self._next()
        self.waiting_s += time.perf_counter() - started
        self.losses.train()
        rank = self.accelerator.process_index
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step * 1009 + rank)
        with self.accelerator.autocast():
            losses = self.losses(inputs, target, generator)
        self.accelerator.backward(torch.stack(list(losses.values())).sum())
        self.accelerator.clip_grad_norm_(self.losses.parameters(), self.config.clip)
        optimisers.step(self.optimisers, self.config, self.step)
        self.step += 1
        self._average()
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
        """Measures the averaged weights on the held-out episodes, or on some of training's where none are held out."""
        held = np.flatnonzero(self.pack.held_out(self.config.held_out_every))
        table = evaluate(self.measured, held if len(held) else self.samples.rows[:64])
        self.metrics.append({"step": self.step, "seconds": round(self.seconds, 1), "held_out": len(held) > 0} | table)
        self.log("held_out" if len(held) else "training", table["all"], self.step)
        (self.out_dir / "metrics.json").write_text(json.dumps(self.metrics, indent=1) + "\n")
        title = f"step {self.step}, {self.seconds:.0f} s, {self.waited:.0%} waiting for data"
        rows = [[name, *(f"{value:g}" for value in row.values())] for name, row in table.items()]
        show_table(("keypose", *table["all"]), rows, title, console)

    def save(self) -> None:
        """Writes what it takes to go on, in one atomic rename."""
        facts = {"step": self.step, "seconds": self.seconds, "metrics": self.metrics, "config": _config(self.config)}
        training_state.save(self.file, self._modules, self.optimisers, facts)

    def info(self) -> dict[str, Any]:
        """What made this checkpoint."""
        info = run_info(seed=self.config.seed)
        last = self.metrics[-1] if self.metrics else {}
        cost = {"seconds": round(self.seconds, 1), "waiting": round(self.waited, 3)}
        demonstrations = {"episodes": len(self.pack.instructions), "frames": len(self.pack.paths)}
        data: dict[str, Any] = {"sources": self.pack.sources, **demonstrations, "families": self.pack.families}
        if self.pack.left_out:
            data["left_out"] = self.pack.left_out
        return info | {"train": _config(self.config), "data": data, **cost, "metrics": last}

    def _next(self) -> Batch:
        if self._batches is None:
            rank, processes = self.accelerator.process_index, self.accelerator.num_processes
            self._batches = batches(self.samples, self.step, rank, processes, self.config.workers)
        inputs, target = next(self._batches)
        return inputs.to(self.accelerator.device), target.to(self.accelerator.device)

    def _resume(self) -> None:
        if training_state.facts(self.file).get("config") != json.loads(json.dumps(_config(self.config))):
            raise ValueError(f"{self.out_dir} holds a run of another configuration; give another --out, or remove it")
        state = training_state.load(self.file, self._modules, self.optimisers, needs=("step", "seconds", "metrics"))
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "average": self.average}

    def _average(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.actor.parameters()), 1 - decay)


class _Losses(nn.Module):
    """An actor whose forward pass is its losses: what data parallelism wraps."""

    def __init__(self, actor: AnyActor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, inputs: Tensors, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        return self.actor.losses(inputs, target, generator)


def _config(config: TrainConfig) -> dict[str, Any]:
    return {"family": config.actor.family, **asdict(config)}


def _tensorboard(folder: Path) -> Callable[[str, dict[str, float], int], None]:
    writer = SummaryWriter(str(folder))

    def write(tag: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{tag}/{name}", value, step)

    return write
