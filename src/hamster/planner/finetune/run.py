"""Fine-tune a vision-language model, in one process or in many; the same command again resumes an interrupted run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hamster.files import lock_folder, write_atomic
from hamster.identity import RUN, claim, flat
from hamster.label.dataset import content_digest
from hamster.label.storage import json_bytes
from hamster.planner.finetune import export, model_loading
from hamster.planner.finetune.prepare import Prepared, accumulation_steps, prepare_run
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.identity import planner_identity
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.provenance import run_info
from hamster.shared_memory import loader_processes

STATE, METRICS = "state", "metrics.json"
# Names of settings in run.json, as the first version wrote them, so that its interrupted runs can be resumed.
NAMES_IN_RUN_JSON = {
    "method": "adapt", "train_vision": "vision", "batch_size": "batch", "learning_rate": "lr", "warmup_ratio": "warmup",
    "max_grad_norm": "clip", "lora_rank": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout",
    "gradient_checkpointing": "checkpointing", "frames_per_episode": "frames", "held_out_fraction": "held_out",
    "gripper_prompt_fraction": "gripper",
}  # fmt: skip


def fine_tune(
    name: str, config: FinetuneConfig, parts: Sequence[WeightedDataset], out: Path, dialect: str | None = None
) -> dict[str, float]:
    """Train, or resume an interrupted training in `out`.

    Args:
        name: folder or hub id of a vision-language model.
        config: of the run; a resumed one must be given the same, but for `eval_every`, `eval_samples`, `save_every`,
            `log_every`, `micro_batch_size` and `dataloader_workers`.
        parts: label sets, mixed as their weights say.
        out: gets run.json, log.jsonl, tensorboard/, pictures/, state/ (to resume), metrics.json, the finished model in
            model/ and, where there are any, its adapters in adapter/.
        dialect: to train, None for the model's own.

    Returns:
        The last metrics on held-out samples.

    Raises:
        ValueError: for a model or data that cannot be used, if `out` holds another training, or another process is at
            work in it.
    """
    _disable_telemetry()
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    with lock_folder(out) if state.is_main_process else nullcontext():
        return _fine_tune(name, config, parts, out, dialect, state)


def _fine_tune(
    name: str, config: FinetuneConfig, parts: Sequence[WeightedDataset], out: Path, dialect: str | None, state: Any
) -> dict[str, float]:
    if (out / METRICS).is_file():
        claim(out, _about(name, config, parts, dialect), True, {})
        return dict(json.loads((out / METRICS).read_text()))
    fsdp = state.num_processes > 1 and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    model_loading.check_requirements(config)
    with state.main_process_first():
        if state.is_main_process:
            _begin(out, name, config, parts, dialect)
        model, processor = model_loading.load_for_training(name, config)
        run = prepare_run(name, model, processor, config, parts, out / "cache", dialect, need_image=fsdp)
    trainer = _trainer(run, model, out, state.num_processes)
    return _train(trainer, run, out)


def _train(trainer: Any, run: Prepared, out: Path) -> dict[str, float]:
    from hamster.planner.finetune.trainer import last_complete_checkpoint

    start = last_complete_checkpoint(out / STATE)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    metrics = _last_metrics(trainer) if len(run.loss_samples) else {}
    export.export(trainer, run, out, metrics)
    if trainer.is_world_process_zero():
        write_atomic(out / METRICS, json_bytes(metrics, indent=1))
    trainer.accelerator.wait_for_everyone()
    return metrics


def _trainer(run: Prepared, model: Any, out: Path, processes: int) -> Any:
    import torch
    from trl import SFTConfig as Arguments

    from hamster.planner.finetune.trainer import Log, PathTrainer

    config, gpu = run.config, torch.cuda.is_available()
    arguments = Arguments(
        output_dir=str(out / STATE), max_steps=run.steps, seed=config.seed, data_seed=config.seed,
        per_device_train_batch_size=config.micro_batch_size, per_device_eval_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=accumulation_steps(config, processes),
        learning_rate=config.learning_rate, lr_scheduler_type="cosine",
        warmup_steps=round(config.warmup_ratio * run.steps), weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        use_cpu=not gpu, bf16=gpu, tf32=None, gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        max_length=None, completion_only_loss=True, remove_unused_columns=False, train_sampling_strategy="sequential",
        eval_strategy="steps" if len(run.loss_samples) else "no", eval_steps=config.eval_every,
        save_strategy="steps", save_steps=config.save_every, save_total_limit=2,
        logging_steps=config.log_every, report_to=[],
        dataloader_num_workers=loader_processes(config.dataloader_workers),
        disable_tqdm=not sys.stderr.isatty(),
    )  # fmt: skip
    trainer = PathTrainer(
        model=model, args=arguments, data_collator=run.chat, processing_class=run.chat.processor,
        train_dataset=run.samples.lazily(run.train_samples),
        eval_dataset=run.samples.lazily(run.loss_samples) if len(run.loss_samples) else None,
        peft_config=model_loading.select_trainable(model, config), callbacks=[Log(out)],
    )  # fmt: skip
    if len(run.path_samples):
        trainer.evaluate_paths = lambda step: _evaluate_paths(trainer, run, out, step)
    return trainer


def _evaluate_paths(trainer: Any, run: Prepared, out: Path, step: int) -> dict[str, float]:
    """Return path metrics in all processes, and write a contact sheet from the first."""
    from hamster.planner.families import image_scaling
    from hamster.planner.finetune import eval_metrics
    from hamster.planner.transformers_backend import TransformersBackend

    processor = run.chat.processor
    backend = TransformersBackend(trainer.accelerator.unwrap_model(trainer.model), processor)

    def evaluate(indices: Any) -> list[eval_metrics.EvalSample]:
        return eval_metrics.evaluate(backend, run.samples, indices, run.prompt_config.dialect, image_scaling(processor))

    evaluated = eval_metrics.across_processes(evaluate, run.path_samples, trainer.accelerator)
    if trainer.is_world_process_zero():
        eval_metrics.save_sheet(run.samples, evaluated, out / "pictures" / f"step-{step:06d}.png")
    return eval_metrics.summary(run.samples, evaluated)


def _last_metrics(trainer: Any) -> dict[str, float]:
    """Return the metrics at the end of training; evaluate again unless that was just done."""
    step = trainer.state.global_step
    logged = {k: v for line in trainer.state.log_history if line.get("step") == step for k, v in line.items()}
    metrics = logged if "eval_loss" in logged else trainer.evaluate()
    about_speed = ("runtime", "samples_per_second", "steps_per_second", "num_tokens")
    kept = {name.removeprefix("eval_"): value for name, value in metrics.items() if name.startswith("eval_")}
    return {name: value for name, value in kept.items() if name not in about_speed}


def _begin(out: Path, name: str, config: FinetuneConfig, parts: Sequence[WeightedDataset], dialect: str | None) -> None:
    from hamster.planner.finetune.trainer import incomplete_checkpoints

    claim(out, _about(name, config, parts, dialect), (out / RUN).is_file(), run_info(config.seed))
    for folder in incomplete_checkpoints(out / STATE):
        shutil.rmtree(folder)


def _about(name: str, config: FinetuneConfig, parts: Sequence[WeightedDataset], dialect: str | None) -> dict[str, Any]:
    may_change = ("eval_every", "eval_samples", "save_every", "log_every", "dataloader_workers", "micro_batch_size")
    settings = {key: value for key, value in asdict(config).items() if key not in may_change}
    kept = {NAMES_IN_RUN_JSON.get(key, key): value for key, value in settings.items()}
    data = {f"data {part.folder}": f"{content_digest(part.folder)} x {part.weight:g}" for part in parts}
    start = flat("model", {"name": name, **planner_identity(name)})
    return {**start, **data, "dialect": dialect, **flat("config", kept)}


def _disable_telemetry() -> None:
    """Send no usage data to the hub, and keep forked workers from warning of tokenizers' threads."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
