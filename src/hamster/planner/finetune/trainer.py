"""TRL's trainer with what planners need besides: a fixed order, path metrics, and corrections of FSDP2."""

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
COMPLETE_MARK = "whole"  # an empty file in a checkpoint that was written to its end
EvaluatePaths = Callable[[int], dict[str, float]]


class PathTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is untyped
    """Trains on samples in the given order, and evaluates paths whenever it evaluates the loss."""

    evaluate_paths: EvaluatePaths | None = None
    """From a step to metrics on held-out samples; called in all processes at once."""

    def __init__(self, **options: Any) -> None:
        """Take what TRL's trainer takes."""
        super().__init__(**options)
        # Half of the families say that they cannot weigh a loss by the tokens of all accumulated batches; TRL can, and
        # without it the loss would depend on how a batch is divided among processes.
        self.model_accepts_loss_kwargs = True

    def create_accelerator_and_postprocess(self) -> None:
        """Create the accelerator, then correct its FSDP2 settings."""
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        use_fsdp = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        if use_fsdp and state.distributed_type == DistributedType.MULTI_CPU:
            # Accelerate shards on accelerators only, and on a CPU would silently train unsharded.
            PartialState._shared_state["distributed_type"] = state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin()
            self.is_fsdp_enabled = True
        if self.is_fsdp_enabled and not state.fsdp_plugin.transformer_cls_names_to_wrap:
            # transformers lists layers of parts that a model may not have, which Accelerate does not forgive.
            present = {type(module).__name__ for module in self.model.modules()}
            state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(present & set(self.model._no_split_modules))

    def compute_loss(self, model: Any, inputs: dict[str, Any], *more: Any, **options: Any) -> Any:
        """Unshard the head before TRL's fused loss, which would else take its gradient from one process alone."""
        from torch.distributed.fsdp import FSDPModule

        head: Any = model.get_output_embeddings() if self.is_fsdp_enabled else None
        if isinstance(head, FSDPModule):
            head.unshard()
        return super().compute_loss(model, inputs, *more, **options)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint, and mark it complete once all processes are done."""
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            set_usual_mode(checkpoint)
            (checkpoint / COMPLETE_MARK).touch()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights ourselves: transformers finds none of a model that is saved under older names."""
        if self.is_fsdp_enabled or is_peft_model(self.model):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved, _ = load_model(resume_from_checkpoint, "cpu", "float32")
        (model or self.model).load_state_dict(saved.state_dict())

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Write none beside checkpoints: ours is written beside the exported model."""

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """Evaluate the loss, and the paths."""
        metrics: dict[str, float] = super().evaluate(*arguments, **options)
        if self.evaluate_paths is not None:
            self.model.eval()
            paths = {f"eval_{name}": value for name, value in self.evaluate_paths(self.state.global_step).items()}
            self.log(paths)
            metrics |= paths
        return metrics


class Log(TrainerCallback):  # type: ignore[misc]
    """Losses and metrics in OUT/log.jsonl, a line each, and for TensorBoard; each step once, however often resumed."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.writer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Write what was logged up to the checkpoint."""
        if state.is_world_process_zero:
            lines = "".join(json.dumps(line) + "\n" for line in state.log_history)
            (self.out / "log.jsonl").write_text(lines)
            self.writer = _tensorboard(self.out / "tensorboard", state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Write the newest line."""
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
    except ImportError:  # log.jsonl has the same values
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


def last_complete_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is complete and readable; None if there is none.

    A damaged one is named in the log, and the one before it is used.

    Raises:
        ValueError: if all that there are are damaged.
    """
    complete = [checkpoint for checkpoint in folder.glob("checkpoint-*") if (checkpoint / COMPLETE_MARK).is_file()]
    damaged: list[str] = []
    for checkpoint in sorted(complete, key=lambda folder: int(folder.name.rpartition("-")[2]), reverse=True):
        if not (reason := _damage(checkpoint)):
            for line in damaged:
                log.warning("%s; goes on from %s instead, and does the steps after it again", line, checkpoint.name)
            return checkpoint
        damaged.append(reason)
    if damaged:
        raise ValueError(f"{'; '.join(damaged)}: what was learnt is lost; remove {folder} to begin anew")
    return None


def _damage(checkpoint: Path) -> str:
    """Return what is wrong with a checkpoint's files, "" if nothing; weights are not read, only their sizes checked."""
    try:
        read_json(checkpoint / "trainer_state.json", finite=False)
        for file in checkpoint.glob("*.safetensors"):
            read_header(file)
    except ValueError as error:
        return str(error)
    torn = [file for file in checkpoint.glob("*.p[th]*") if not is_zipfile(file)]
    return f"{torn[0]} is damaged" if torn else ""


def incomplete_checkpoints(folder: Path) -> Sequence[Path]:
    """Return checkpoints whose writing was interrupted."""
    return [checkpoint for checkpoint in folder.glob("checkpoint-*") if not (checkpoint / COMPLETE_MARK).is_file()]
