"""The model that learns: all of it, or low-rank adapters beside weights of 16 or 4 bits."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from hamster.extras import NotInstalledError, install, needs
from hamster.planner.families import family_of
from hamster.planner.finetune.presets import SftConfig
from hamster.planner.load_model import load_in_four_bits, load_model, load_processor, no_progress_bars


def load(name: str, config: SftConfig) -> tuple[Any, Any]:
    """A model as it is trained, without adapters, on the CPU (of 4 bits: on this process's GPU), and its processor.

    Raises:
        ValueError: if there is no such model, a file of it is damaged, or its weights are incomplete or not finite.
    """
    import torch

    if config.adapt == "qlora":
        processor = load_processor(name)
        return load_in_four_bits(name, int(os.environ.get("LOCAL_RANK", "0"))), processor
    # What learns in steps of 1e-5 needs float32: bfloat16 has no number between 1 and 1.0078.
    exact = config.adapt == "full" or not torch.cuda.is_available()
    model, processor = load_model(name, "cpu", "float32" if exact else "auto")
    return model, processor


def check(config: SftConfig) -> None:
    """Raise one line, ValueError or NotInstalledError, if this machine lacks what the configuration needs."""
    missing = [name for name in ("trl", "peft", "datasets", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise needs(" and ".join(missing), "finetune", "fine-tuning")
    if config.adapt != "qlora":
        return
    import torch

    if not torch.cuda.is_available():
        raise ValueError("qlora needs a GPU: its 4-bit kernels do not run here; use --config lora")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise NotInstalledError(f"qlora needs bitsandbytes: {install('bitsandbytes')}; or use --config lora")


def prepare(model: Any, config: SftConfig) -> Any:
    """What of the model learns: sets `requires_grad`, and for adapters returns PEFT's configuration, else None.

    Raises:
        ValueError: if the family has nothing to adapt.
    """
    if config.adapt == "full":
        model.requires_grad_(True)
        if not config.vision:
            encoder(model).requires_grad_(False)
        return None
    from peft import LoraConfig

    family = family_of(model.config.model_type)
    places = [place for place in (family.lora_language, family.lora_vision if config.vision else "") if place]
    if not places:
        raise ValueError(f"{model.config.model_type} has no place for adapters; use --config full")
    return LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules="|".join(places),
        task_type="CAUSAL_LM",
    )  # fmt: skip


def encoder(model: Any) -> Any:
    """The part that sees; ValueError if it is not where transformers keeps it."""
    for name in ("visual", "vision_tower", "vision_model"):
        found = getattr(model.model, name, None)
        if found is not None:
            return found
    raise ValueError(f"where {type(model).__name__} sees is not known: train its vision encoder, too")


def empty(name: str, config: SftConfig) -> Any:
    """The same model without weights, with its adapters, to count what it has: only its configuration is read."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    import hamster.nano  # noqa: F401

    with no_progress_bars(), torch.device("meta"):
        about = AutoConfig.from_pretrained(name, local_files_only=Path(name).is_dir(), trust_remote_code=False)
        model = AutoModelForImageTextToText.from_config(about)
        adapters = prepare(model, config)
        if adapters is None:
            return model
        from peft import get_peft_model

        return get_peft_model(model, adapters)
