"""The vision-language model that the monolithic policy is made of, and its tokenizer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.planner_folder import planner_folder, planner_sizes
from hamster.weights import load_weights, read_tensors


def open_backbone(config: MonolithicConfig) -> tuple[MonolithicConfig, HamsterNanoForConditionalGeneration, Tensor]:
    """Return a configuration with all sizes, the model, and its tokenizer.json as bytes (N,) uint8.

    If the configuration has sizes, the model is random and the tokenizer empty: a checkpoint's weights, which hold
    both, are loaded afterwards. With `pretrained` off the model is random, too, with the planner's sizes and tokenizer.

    Raises:
        ValueError: if there is no such planner, or it is of another architecture.
    """
    if config.backbone:
        model = HamsterNanoForConditionalGeneration(HamsterNanoConfig(**config.backbone))
        return config, model, torch.zeros(0, dtype=torch.uint8)
    folder = planner_folder(config.planner)
    model = HamsterNanoForConditionalGeneration(HamsterNanoConfig(**planner_sizes(folder)))
    if config.pretrained:
        load_weights(model, read_tensors(folder / "model.safetensors"), folder / "model.safetensors")
    sizes = planner_sizes(folder)
    vocabulary = torch.frombuffer(bytearray((folder / "tokenizer.json").read_bytes()), dtype=torch.uint8)
    return replace(config, backbone=sizes), model, vocabulary
