"""Estimate of the device memory that fine-tuning needs.

    weights      full: 4 bytes (float32), and 2 for the copies that are computed with; LoRA: 2; QLoRA: 0.516 of the
                 linear layers' (4 bits, and scales quantised twice), 2 of the others'; 4 of the adapters'
    gradients    4 bytes a trained parameter
    optimiser    8 bytes a trained parameter: AdamW's two moments
    activations  for each layer that gradients pass, 2 bytes x tokens x width of its input with checkpointing, and the
                 48 x tokens x width of one layer that is computed again; without it 48 x tokens x width of every layer
                 (34 in Korthikanti et al., 2022, equation 1, without scores of attention, which are never stored;
                 gated layers as Qwen3-VL's were measured to keep 47); and the answers' logits in float32, three times

Under FSDP the first three are divided by the number of processes; DDP keeps all of them everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hamster.planner.finetune.presets import FinetuneConfig

GIB = 2**30
PER_LAYER = 48
ANSWER_TOKENS = 64  # with logits


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a model.

    Attributes:
        parameters: of the model without adapters.
        trained: how many of them, or of the adapters, are trained.
        linear: of the parameters, those in matrices of linear layers except for the last one.
        layers, width: of the language model.
        vision_layers, vision_width: of the vision encoder.
        vocabulary: tokens.
        patches_per_token: of the vision encoder, merged into one image token.
    """

    parameters: float
    trained: float
    linear: float
    layers: int
    width: int
    vision_layers: int
    vision_width: int
    vocabulary: int
    patches_per_token: int = 4


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    weights: float
    gradients: float
    optimiser: float
    activations: float

    @property
    def total(self) -> float:
        """The sum."""
        return self.weights + self.gradients + self.optimiser + self.activations

    def gib(self) -> dict[str, float]:
        """Return GiB by purpose, and in total."""
        parts = {**vars(self), "total": self.total}
        return {name: round(value / GIB, 2) for name, value in parts.items()}


def estimate(shape: ModelSize, config: FinetuneConfig, tokens: int, image_tokens: int, shards: int = 1) -> Memory:
    """Estimate the memory on one device by the formula above.

    Args:
        shape: sizes of the model.
        config: of the run.
        tokens: of a sample.
        image_tokens: of those, the image's.
        shards: processes that share one copy of the model.
    """
    adapters = 0.0 if config.method == "full" else shape.trained
    weights = {
        "full": 6.0 * shape.parameters,
        "lora": 2.0 * shape.parameters + 4 * adapters,
        "qlora": 0.516 * shape.linear + 2 * (shape.parameters - shape.linear) + 4 * adapters,
    }[config.method]
    language = _activations(shape.layers, shape.width, tokens, config)
    vision = _activations(shape.vision_layers, shape.vision_width, image_tokens * shape.patches_per_token, config)
    logits = 12.0 * config.micro_batch_size * ANSWER_TOKENS * shape.vocabulary
    return Memory(
        weights / shards,
        4 * shape.trained / shards,
        8 * shape.trained / shards,
        language + (vision if config.train_vision else 0) + logits,
    )


def shape_of(model: Any) -> ModelSize:
    """Return the sizes of a model, which may be on the meta device, with its adapters if it has some."""
    import torch

    text = model.config.get_text_config()
    vision = getattr(model.config, "vision_config", text)
    named = dict(model.named_parameters())
    base = {name: p for name, p in named.items() if "lora_" not in name}
    heads = [model.get_output_embeddings(), model.get_input_embeddings()]
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module not in heads and "lora_" not in name
    )
    return ModelSize(
        parameters=sum(p.numel() for p in base.values()),
        trained=sum(p.numel() for p in named.values() if p.requires_grad),
        linear=linear,
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        vision_layers=_first(vision, "depth", "num_hidden_layers"),
        vision_width=vision.hidden_size,
        vocabulary=text.vocab_size,
        patches_per_token=getattr(vision, "spatial_merge_size", getattr(model.config, "scale_factor", 1)) ** 2,
    )


TYPICAL: Mapping[str, ModelSize] = {  # close to Qwen3-VL-2B, -4B, -8B and VILA-1.5-13B
    "2B": ModelSize(2.1e9, 0, 1.8e9, 28, 2048, 24, 1024, 151_936),
    "4B": ModelSize(4.4e9, 0, 4.0e9, 36, 2560, 24, 1024, 151_936),
    "8B": ModelSize(8.8e9, 0, 7.5e9, 36, 4096, 27, 1152, 151_936),
    "13B": ModelSize(13.5e9, 0, 13.2e9, 40, 5120, 27, 1152, 32_000, 1),
}


def needed(config: FinetuneConfig, tokens: int = 700, image_tokens: int = 400) -> dict[str, float]:
    """Estimate GiB on one device for models of several sizes.

    Args:
        config: of the run.
        tokens, image_tokens: of a sample; the defaults are those of HAMSTER's prompt with an image.
    """
    gib = {}
    for name, shape in TYPICAL.items():
        adapted = shape.linear * config.lora_rank * 2 / shape.width  # rank x (in + out) of every matrix, near enough
        trained = shape.parameters if config.method == "full" else adapted
        sized = ModelSize(**{**vars(shape), "trained": trained})
        gib[name] = round(estimate(sized, config, tokens, image_tokens).total / GIB, 1)
    return gib


def _activations(layers: int, width: int, tokens: int, config: FinetuneConfig) -> float:
    cell = float(config.micro_batch_size * tokens * width)
    return 2 * cell * layers + PER_LAYER * cell if config.gradient_checkpointing else PER_LAYER * cell * layers


def _first(config: Any, *names: str) -> int:
    return next((int(getattr(config, name)) for name in names if hasattr(config, name)), 0)
