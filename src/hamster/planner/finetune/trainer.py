"""TRL's trainer, with what it lacks for planners: a settled order, path metrics, FSDP2 that is right everywhere."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, is_peft_model
from transformers import TrainerCallback
from trl import SFTTrainer

from hamster.files import set_usual_mode
from hamster.inspect_checkpoint import read_header, read_json
from hamster.planner.load_model import load_model

log = logging.getLogger("hamster.train")
WHOLE = "whole"  # a file in a checkpoint that is complete
Measure = Callable[[int], dict[str, float]]


class PathTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is untyped
    """Learns samples in the order they come in, and measures paths whenever it measures the loss."""

    measure: Measure | None = None
    """From a step to metrics on held-out samples; called in all processes at once."""

    def __init__(self, **options: Any) -> None:
        """As TRL's."""
        super().__init__(**options)
        # Half of the families say that they cannot weigh a loss by the tokens of all accumulated batches; TRL can, and
        # without it the loss would depend on how a batch is divided among processes.
        self.model_accepts_loss_kwargs = True

    def create_accelerator_and_postprocess(self) -> None:
        """As transformers', and then FSDP2 as it was asked for."""
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        if asked and state.distributed_type == DistributedType.MULTI_CPU:
            # Accelerate shards on accelerators only, and on a CPU would train unsharded without a word.
            PartialState._shared_state["distributed_type"] = state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin()
            self.is_fsdp_enabled = True
        if self.is_fsdp_enabled and not state.fsdp_plugin.transformer_cls_names_to_wrap:
            # transformers lists layers of parts that a model may not have, which Accelerate does not forgive.
            there = {type(module).__name__ for module in self.model.modules()}
            state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(there & set(self.model._no_split_modules))

    def compute_loss(self, model: Any, inputs: dict[str, Any], *more: Any, **options: Any) -> Any:
        """As TRL's, whose fused head takes its weight's gradient from one process alone if FSDP2 has it sharded."""
        from torch.distributed.fsdp import FSDPModule

        head: Any = model.get_output_embeddings() if self.is_fsdp_enabled else None
        if isinstance(head, FSDPModule):
            head.unshard()
        return super().compute_loss(model, inputs, *more, **options)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As transformers', and a mark once all processes are done: what a kill left behind has none."""
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            set_usual_mode(checkpoint)
            (checkpoint / WHOLE).touch()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """As transformers', which finds no weight of a model that is saved under older names, and starts anew."""
        if self.is_fsdp_enabled or is_peft_model(self.model):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved, _ = load_model(resume_from_checkpoint, "cpu", "float32")
        (model or self.model).load_state_dict(saved.state_dict())

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """None beside checkpoints: ours goes beside the model."""

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """The loss, and the paths."""
        metrics: dict[str, float] = super().evaluate(*arguments, **options)
        if self.measure is not None:
            self.model.eval()
            paths = {f"eval_{name}": value for name, value in self.measure(self.state.global_step).items()}
            self.log(paths)
            metrics |= paths
        return metrics


class Log(TrainerCallback):  # type: ignore[misc]
    """Losses and metrics in OUT/log.jsonl, a line each, and for TensorBoard; each step once, however often resumed."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.writer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Writes what was logged up to the checkpoint."""
        if state.is_world_process_zero:
            lines = "".join(json.dumps(line) + "\n" for line in state.log_history)
            (self.out / "log.jsonl").write_text(lines)
            self.writer = _tensorboard(self.out / "tensorboard", state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Writes the newest line."""
        if state.is_world_process_zero and state.log_history:
            line = state.log_history[-1]
            with (self.out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            for name, value in line.items():
                if self.writer and isinstance(value, int | float) and name not in ("step", "epoch"):
                    self.writer.add_scalar(name.replace("eval_", "held_out/", 1), value, line["step"])


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # log.jsonl says the same
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


def last_whole(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end and can be read still; None where there is none.

    A damaged one is named in the log, and the one before it is gone on from.

    Raises:
        ValueError: if all that there are are damaged.
    """
    ended = [each for each in folder.glob("checkpoint-*") if (each / WHOLE).is_file()]
    damaged: list[str] = []
    for checkpoint in sorted(ended, key=lambda each: int(each.name.rpartition("-")[2]), reverse=True):
        if not (reason := _damage(checkpoint)):
            for line in damaged:
                log.warning("%s; goes on from %s instead, and does the steps after it again", line, checkpoint.name)
            return checkpoint
        damaged.append(reason)
    if damaged:
        raise ValueError(f"{'; '.join(damaged)}: what was learnt is lost; remove {folder} to begin anew")
    return None


def _damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files: "" if nothing is. Numbers are not read, only whether all are there."""
    try:
        read_json(checkpoint / "trainer_state.json", finite=False)
        for file in checkpoint.glob("*.safetensors"):
            read_header(file)
    except ValueError as error:
        return str(error)
    torn = [file for file in checkpoint.glob("*.p[th]*") if not is_zipfile(file)]
    return f"{torn[0]} is damaged" if torn else ""


def unfinished(folder: Path) -> Sequence[Path]:
    """Checkpoints that something interrupted."""
    return [each for each in folder.glob("checkpoint-*") if not (each / WHOLE).is_file()]
