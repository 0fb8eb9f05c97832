"""Trains a flow actor by imitation. The same command again continues after whatever stopped it, kill -9 included."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from hamster import training_state
from hamster.policy import checkpoint
from hamster.policy.actor import FlowActor
from hamster.policy.batches import Batches, Target
from hamster.policy.inputs import Inputs
from hamster.policy.measure import evaluate
from hamster.policy.pack import Pack, load_pack
from hamster.policy.presets import TrainConfig, preset
from hamster.policy.rotation import six_from_matrix
from hamster.provenance import run_info

RESIDUAL_LIMIT = 3.0  # units of the flow: what the anchor misses by more than this is the anchor's to learn


def train_policy(config: str | TrainConfig, data_dir: FilePath, out_dir: FilePath) -> FilePath:
    """Trains to the end of the configuration and leaves the checkpoint folder in `out_dir`.

    Args:
        config: a preset's name or a configuration.
        data_dir: a label set of kind "episodes".
        out_dir: gets config.json, model.safetensors, train_info.json, metrics.json; to go on: state.safetensors, pack/;
            and tensorboard/.

    Raises:
        ValueError: for an unknown preset, or a folder without such a label set.
    """
    config = preset(config) if isinstance(config, str) else config
    run = Run(config, load_pack(data_dir, config.actor.camera, out_dir / "pack", config.between), out_dir)
    with Progress(*Progress.get_default_columns(), "{task.fields[loss]}") as progress:
        bar = progress.add_task("training", total=config.steps, completed=run.step, loss="")
        while run.step < config.steps:
            losses = run.advance()
            if run.step % 20 == 0:
                progress.update(bar, completed=run.step, loss=" ".join(f"{k} {v:.3f}" for k, v in losses.items()))
            if run.step % config.evaluate_every == 0 or run.step == config.steps:
                run.report(progress.console)
            if run.step % config.save_every == 0 or run.step == config.steps:
                run.save()
    checkpoint.save(out_dir, run.average, run.info())
    return out_dir


class Run:
    """The state of a training run: weights, their average, optimiser, step."""

    def __init__(self, config: TrainConfig, pack: Pack, out_dir: FilePath) -> None:
        self.config, self.pack, self.out_dir = config, pack, out_dir
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        self.actor = FlowActor(config.actor).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.actor).eval().requires_grad_(False)
        self.optimiser = _optimiser(self.actor, config)
        self.batches = Batches(pack, config, self.device)
        self.step, self.seconds = 0, 0.0
        self.metrics: list[dict[str, Any]] = []
        self.log = _tensorboard(out_dir / "tensorboard")
        self.file = out_dir / "state.safetensors"
        if self.file.is_file():
            self._resume()

    def advance(self) -> dict[str, float]:
        """One step of the optimiser; the losses before it."""
        started = time.perf_counter()
        self.actor.train()
        for group in self.optimiser.param_groups:
            group["lr"] = _schedule(self.step, self.config)
        inputs, target = self.batches(self.step)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            losses = loss(self.actor, inputs, target, self.config.renoise, generator)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.actor.parameters(), self.config.clip)
        self.optimiser.step()
        self.step += 1
        self._average()
        self.seconds += time.perf_counter() - started
        values = {name: float(value.detach()) for name, value in losses.items()}
        self.log("loss", values, self.step)
        return values

    def report(self, console: Console) -> None:
        """Measures the averaged weights on the held-out episodes, or on some of training's where none are held out."""
        held = np.flatnonzero(self.pack.held_out(self.config.held_out_every))
        rows = held if len(held) else self.batches.rows[:64]
        table = evaluate(self.average, self.pack, rows, self.config)
        self.metrics.append({"step": self.step, "seconds": round(self.seconds, 1), "held_out": len(held) > 0} | table)
        self.log("held_out" if len(held) else "training", table["all"], self.step)
        (self.out_dir / "metrics.json").write_text(json.dumps(self.metrics, indent=1) + "\n")
        console.print(_printed(f"step {self.step}, {self.seconds:.0f} s", table))

    def save(self) -> None:
        """Writes what it takes to go on, in one atomic rename."""
        facts = {"step": self.step, "seconds": self.seconds, "metrics": self.metrics, "config": asdict(self.config)}
        training_state.save(self.file, self._modules, {"optimiser": self.optimiser}, facts)

    def info(self) -> dict[str, Any]:
        """What made this checkpoint."""
        info = run_info(seed=self.config.seed)
        last = self.metrics[-1] if self.metrics else {}
        return info | {"train": asdict(self.config), "seconds": round(self.seconds, 1), "metrics": last}

    def _resume(self) -> None:
        if training_state.facts(self.file)["config"] != json.loads(json.dumps(asdict(self.config))):
            raise ValueError(f"{self.out_dir} holds a run of another configuration; give another --out, or remove it")
        state = training_state.load(self.file, self._modules, {"optimiser": self.optimiser})
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "average": self.average}

    def _average(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.actor.parameters()), 1 - decay)


def loss(
    actor: FlowActor, inputs: Inputs, target: Target, renoise: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Flow matching of the residual pose, the votes' distances, cross-entropy of gripper and end."""
    position, rotation, is_open, done = target
    going = 1 - done  # there is no next keypose after the last one
    encoded = actor.encode(inputs)
    miss = (encoded.votes - position[:, None]).norm(dim=-1)
    expected = (encoded.weights * miss).sum(-1) + (encoded.anchor - position).norm(dim=-1)
    residual = (position - encoded.anchor.detach()) / actor.config.position_scale_m
    residual = residual * (RESIDUAL_LIMIT / residual.norm(dim=-1, keepdim=True).clamp(min=RESIDUAL_LIMIT))
    action = torch.cat([residual, six_from_matrix(rotation)], -1)[:, None].expand(-1, renoise, -1)
    noise = torch.randn(action.shape, generator=generator).to(action.device)
    times = torch.randn(action.shape[:2], generator=generator).mul(1.5).sigmoid().to(action.device)
    noisy = noise + times[..., None] * (action - noise)
    error = ((actor.velocity(noisy, times, encoded) - (action - noise)) ** 2).mean((1, 2))
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    return {
        "flow": (error * going).mean(),
        "vote": (expected * going).mean() * 10,
        "gripper": cross_entropy(encoded.gripper_logit, is_open) * 0.5,
        "done": cross_entropy(encoded.done_logit, done) * 0.5,
    }


def _optimiser(actor: FlowActor, config: TrainConfig) -> torch.optim.AdamW:
    matrices = [p for p in actor.parameters() if p.dim() > 1]
    vectors = [p for p in actor.parameters() if p.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay)


def _schedule(step: int, config: TrainConfig) -> float:
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2)


def _tensorboard(folder: FilePath) -> Callable[[str, dict[str, float], int], None]:
    """Writes scalars where tensorboard (extra: train) is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return lambda tag, values, step: None
    writer = SummaryWriter(str(folder))

    def write(tag: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{tag}/{name}", value, step)

    return write


def _printed(title: str, metrics: dict[str, dict[str, float]]) -> Table:
    table = Table("keypose", *metrics["all"], title=title)
    for name, row in metrics.items():
        table.add_row(name, *(f"{v:g}" for v in row.values()))
    return table
