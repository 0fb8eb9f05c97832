"""Fine-tunes a vision-language model, in one process or in many; the same command again goes on where it was killed."""

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
from hamster.planner.finetune.prepare import Prepared, accumulated, prepare_run
from hamster.planner.finetune.presets import SftConfig
from hamster.planner.identity import planner_identity
from hamster.planner.nano_training.pictures import Part
from hamster.provenance import run_info
from hamster.shared_memory import loader_processes

STATE, METRICS = "state", "metrics.json"


def fine_tune(
    name: str, config: SftConfig, parts: Sequence[Part], out: Path, dialect: str | None = None
) -> dict[str, float]:
    """Train, or go on where an interrupted training in `out` stopped.

    Args:
        name: folder or hub id of a vision-language model.
        config: of the run; a resumed one must be given the same, but for `evaluate_every`, `save_every` and `workers`.
        parts: label sets, mixed as their weights say.
        out: gets run.json, log.jsonl, tensorboard/, pictures/, state/ (to resume), metrics.json, the finished model in
            model/ and, where there are any, its adapters in adapter/.
        dialect: to teach, None for the model's own.

    Returns:
        The last metrics on held-out samples.

    Raises:
        ValueError: for a model or data that cannot be used, if `out` holds another training, or another process is at
            work in it.
    """
    _be_quiet()
    import torch
    from accelerate import PartialState

    place = PartialState(cpu=not torch.cuda.is_available())
    with lock_folder(out) if place.is_main_process else nullcontext():
        return _fine_tune(name, config, parts, out, dialect, place)


def _fine_tune(
    name: str, config: SftConfig, parts: Sequence[Part], out: Path, dialect: str | None, place: Any
) -> dict[str, float]:
    if (out / METRICS).is_file():
        claim(out, _about(name, config, parts, dialect), True, {})
        return dict(json.loads((out / METRICS).read_text()))
    fsdp = place.num_processes > 1 and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    model_loading.check(config)
    with place.main_process_first():
        if place.is_main_process:
            _begin(out, name, config, parts, dialect)
        model, processor = model_loading.load(name, config)
        run = prepare_run(name, model, processor, config, parts, out / "cache", dialect, pictured=fsdp)
    trainer = _trainer(run, model, out, place.num_processes)
    return _train(trainer, run, out)


def _train(trainer: Any, run: Prepared, out: Path) -> dict[str, float]:
    from hamster.planner.finetune.trainer import last_whole

    start = last_whole(out / STATE)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    metrics = _last(trainer) if len(run.spare) else {}
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
        per_device_train_batch_size=config.micro_batch, per_device_eval_batch_size=config.micro_batch,
        gradient_accumulation_steps=accumulated(config, processes),
        learning_rate=config.lr, lr_scheduler_type="cosine", warmup_steps=round(config.warmup * run.steps),
        weight_decay=config.weight_decay, max_grad_norm=config.clip,
        use_cpu=not gpu, bf16=gpu, tf32=None, gradient_checkpointing=config.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.checkpointing else None,
        max_length=None, completion_only_loss=True, remove_unused_columns=False, train_sampling_strategy="sequential",
        eval_strategy="steps" if len(run.spare) else "no", eval_steps=config.evaluate_every,
        save_strategy="steps", save_steps=config.save_every, save_total_limit=2,
        logging_steps=config.log_every, report_to=[], dataloader_num_workers=loader_processes(config.workers),
        disable_tqdm=not sys.stderr.isatty(),
    )  # fmt: skip
    trainer = PathTrainer(
        model=model, args=arguments, data_collator=run.chat, processing_class=run.chat.processor,
        train_dataset=run.samples.lazily(run.learned),
        eval_dataset=run.samples.lazily(run.spare) if len(run.spare) else None,
        peft_config=model_loading.prepare(model, config), callbacks=[Log(out)],
    )  # fmt: skip
    if len(run.asked):
        trainer.measure = lambda step: _measured(trainer, run, out, step)
    return trainer


def _measured(trainer: Any, run: Prepared, out: Path, step: int) -> dict[str, float]:
    """Path metrics in all processes, and a picture from the first."""
    from hamster.planner.families import image_scaling
    from hamster.planner.finetune import eval_metrics
    from hamster.planner.transformers_backend import TransformersBackend

    processor = run.chat.processor
    backend = TransformersBackend(trainer.accelerator.unwrap_model(trainer.model), processor)

    def judge(chosen: Any) -> list[eval_metrics.Judged]:
        return eval_metrics.ask(backend, run.samples, chosen, run.prompt_config.dialect, image_scaling(processor))

    judged = eval_metrics.shared(judge, run.asked, trainer.accelerator)
    if trainer.is_world_process_zero():
        eval_metrics.picture(run.samples, judged, out / "pictures" / f"step-{step:06d}.png")
    return eval_metrics.summary(run.samples, judged)


def _last(trainer: Any) -> dict[str, float]:
    """Metrics at the end of training; measured anew unless that was just done."""
    step = trainer.state.global_step
    known = {k: v for line in trainer.state.log_history if line.get("step") == step for k, v in line.items()}
    found = known if "eval_loss" in known else trainer.evaluate()
    about_speed = ("runtime", "samples_per_second", "steps_per_second", "num_tokens")
    kept = {name.removeprefix("eval_"): value for name, value in found.items() if name.startswith("eval_")}
    return {name: value for name, value in kept.items() if name not in about_speed}


def _begin(out: Path, name: str, config: SftConfig, parts: Sequence[Part], dialect: str | None) -> None:
    from hamster.planner.finetune.trainer import unfinished

    claim(out, _about(name, config, parts, dialect), (out / RUN).is_file(), run_info(config.seed))
    for folder in unfinished(out / STATE):
        shutil.rmtree(folder)


def _about(name: str, config: SftConfig, parts: Sequence[Part], dialect: str | None) -> dict[str, Any]:
    may_change = ("evaluate_every", "evaluate_on", "save_every", "log_every", "workers", "micro_batch")
    kept = {key: value for key, value in asdict(config).items() if key not in may_change}
    data = {f"data {part.folder}": f"{content_digest(part.folder)} x {part.weight:g}" for part in parts}
    start = flat("model", {"name": name, **planner_identity(name)})
    return {**start, **data, "dialect": dialect, **flat("config", kept)}


def _be_quiet() -> None:
    """Nobody is told about a training, and forked workers do not warn of tokenizers' threads."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
