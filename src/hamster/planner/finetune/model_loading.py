"""Load the model to fine-tune: all of it, or low-rank adapters beside weights of 16 or 4 bits."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from hamster.extras import NotInstalledError, install, needs
from hamster.planner.families import family_of
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.load import resolve_checkpoint
from hamster.planner.load_model import load_in_four_bits, load_model, load_processor, no_progress_bars


def load_for_training(name: str, config: FinetuneConfig) -> tuple[Any, Any]:
    """Load a model as it is trained, without adapters, on the CPU (4-bit: on this GPU), and its processor.

    Raises:
        ValueError: if there is no such model, a file of it is damaged, or its weights are incomplete or not finite.
    """
    import torch

    name = resolve_checkpoint(name)
    if config.method == "qlora":
        processor = load_processor(name)
        return load_in_four_bits(name, int(os.environ.get("LOCAL_RANK", "0"))), processor
    # Updates of 1e-5 need float32: bfloat16 has no number between 1 and 1.0078.
    exact = config.method == "full" or not torch.cuda.is_available()
    model, processor = load_model(name, "cpu", "float32" if exact else "auto")
    return model, processor


def check_requirements(config: FinetuneConfig) -> None:
    """Raise one line, ValueError or NotInstalledError, if this machine lacks what the configuration needs."""
    missing = [name for name in ("trl", "peft", "datasets", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise needs(" and ".join(missing), "finetune", "fine-tuning")
    if config.method != "qlora":
        return
    import torch

    if not torch.cuda.is_available():
        raise ValueError("qlora needs a GPU: its 4-bit kernels do not run here; use --config lora")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise NotInstalledError(f"qlora needs bitsandbytes: {install('bitsandbytes')}; or use --config lora")


def select_trainable(model: Any, config: FinetuneConfig) -> Any:
    """Set `requires_grad` of what is trained, and return PEFT's configuration for adapters, else None.

    Raises:
        ValueError: if the family has nothing to adapt.
    """
    if config.method == "full":
        model.requires_grad_(True)
        if not config.train_vision:
            vision_encoder(model).requires_grad_(False)
        return None
    from peft import LoraConfig

    family = family_of(model.config.model_type)
    places = [place for place in (family.lora_language, family.lora_vision if config.train_vision else "") if place]
    if not places:
        raise ValueError(f"{model.config.model_type} has no place for adapters; use --config full")
    return LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, lora_dropout=config.lora_dropout,
        target_modules="|".join(places), task_type="CAUSAL_LM",
    )  # fmt: skip


def vision_encoder(model: Any) -> Any:
    """Return the vision encoder; ValueError if it is not where transformers keeps it."""
    for name in ("visual", "vision_tower", "vision_model"):
        encoder = getattr(model.model, name, None)
        if encoder is not None:
            return encoder
    raise ValueError(f"{type(model).__name__} has no vision encoder that is known here: train all of it")


def load_without_weights(name: str, config: FinetuneConfig) -> Any:
    """Return the model on the meta device, with its adapters, to count parameters: only its configuration is read."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    import hamster.nano  # noqa: F401

    name = resolve_checkpoint(name)
    with no_progress_bars(), torch.device("meta"):
        about = AutoConfig.from_pretrained(name, local_files_only=Path(name).is_dir(), trust_remote_code=False)
        model = AutoModelForImageTextToText.from_config(about)
        adapters = select_trainable(model, config)
        if adapters is None:
            return model
        from peft import get_peft_model

        return get_peft_model(model, adapters)
