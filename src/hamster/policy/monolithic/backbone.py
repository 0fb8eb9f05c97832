"""The vision-language model that the monolithic policy is made of, and its tokenizer."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.weights import load_weights, read_tensors

SIZES = [name for name in signature(HamsterNanoConfig).parameters if name != "kwargs"]


def open_backbone(config: MonolithicConfig) -> tuple[MonolithicConfig, HamsterNanoForConditionalGeneration, Tensor]:
    """Return a configuration with all sizes, the model, and its tokenizer.json as bytes (N,) uint8.

    If the configuration has sizes, the model is random and the tokenizer empty: a checkpoint's weights, which hold
    both, are loaded afterwards.

    Raises:
        ValueError: if there is no such planner, or it is of another architecture.
    """
    if config.backbone:
        model = HamsterNanoForConditionalGeneration(HamsterNanoConfig(**config.backbone))
        return config, model, torch.zeros(0, dtype=torch.uint8)
    folder = _folder(config.planner)
    model = HamsterNanoForConditionalGeneration(HamsterNanoConfig.from_pretrained(folder, local_files_only=True))
    load_weights(model, read_tensors(folder / "model.safetensors"), folder / "model.safetensors")
    sizes = {name: getattr(model.config, name) for name in SIZES}
    vocabulary = torch.frombuffer(bytearray((folder / "tokenizer.json").read_bytes()), dtype=torch.uint8)
    return replace(config, backbone=sizes), model, vocabulary


def _folder(planner: str) -> Path:
    """Return the folder of a planner's checkpoint. Of planners, policies know the folders only."""
    bundled = Path(str(files("hamster"))) / "planner" / "checkpoints"
    for folder in (bundled / planner, Path(planner)):
        if (folder / "config.json").is_file():
            if '"hamster_nano"' not in (folder / "config.json").read_text():
                raise ValueError(f"{folder} is no nano planner; the monolithic policy is made of one")
            return folder
    names = ", ".join(sorted(path.parent.name for path in bundled.glob("*/config.json")))
    raise ValueError(f"no planner {planner!r} to start from; give one of {names}, or a folder with a checkpoint")
