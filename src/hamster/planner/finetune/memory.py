"""What fine-tuning takes of a device's memory, reckoned before it is spent.

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

from hamster.planner.finetune.presets import SftConfig

GIB = 2**30
PER_LAYER = 48
ANSWER = 64  # tokens with logits


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    Attributes:
        parameters, trained: in all, and how many of them (or beside them, with adapters) learn.
        linear: of the parameters, how many are matrices of linear layers but the last one.
        layers, width: of the language model. vision_layers, vision_width: of the vision encoder.
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
        """All of them."""
        return self.weights + self.gradients + self.optimiser + self.activations

    def gib(self) -> dict[str, float]:
        """By what it is for, and in all."""
        parts = {**vars(self), "total": self.total}
        return {name: round(value / GIB, 2) for name, value in parts.items()}


def estimate(shape: Shape, config: SftConfig, tokens: int, image_tokens: int, shards: int = 1) -> Memory:
    """By the formula above, for samples of so many tokens; `shards`: processes that share one copy of the model."""
    adapters = 0.0 if config.adapt == "full" else shape.trained
    weights = {
        "full": 6.0 * shape.parameters,
        "lora": 2.0 * shape.parameters + 4 * adapters,
        "qlora": 0.516 * shape.linear + 2 * (shape.parameters - shape.linear) + 4 * adapters,
    }[config.adapt]
    language = _activations(shape.layers, shape.width, tokens, config)
    vision = _activations(shape.vision_layers, shape.vision_width, image_tokens * shape.patches_per_token, config)
    logits = 12.0 * config.micro_batch * ANSWER * shape.vocabulary
    return Memory(
        weights / shards,
        4 * shape.trained / shards,
        8 * shape.trained / shards,
        language + (vision if config.vision else 0) + logits,
    )


def shape_of(model: Any) -> Shape:
    """The sizes of a model, which may be on the meta device, with its adapters where it has some."""
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
    return Shape(
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


TYPICAL: Mapping[str, Shape] = {  # close to Qwen3-VL-2B, -4B, -8B and VILA-1.5-13B
    "2B": Shape(2.1e9, 0, 1.8e9, 28, 2048, 24, 1024, 151_936),
    "4B": Shape(4.4e9, 0, 4.0e9, 36, 2560, 24, 1024, 151_936),
    "8B": Shape(8.8e9, 0, 7.5e9, 36, 4096, 27, 1152, 151_936),
    "13B": Shape(13.5e9, 0, 13.2e9, 40, 5120, 27, 1152, 32_000, 1),
}


def needed(config: SftConfig, tokens: int = 700, image_tokens: int = 400) -> dict[str, float]:
    """GiB on one device for models of several sizes, and samples as HAMSTER's prompt and a picture make them."""
    found = {}
    for name, shape in TYPICAL.items():
        adapted = shape.linear * config.rank * 2 / shape.width  # rank x (in + out) of every matrix, near enough
        trained = shape.parameters if config.adapt == "full" else adapted
        sized = Shape(**{**vars(shape), "trained": trained})
        found[name] = round(estimate(sized, config, tokens, image_tokens).total / GIB, 1)
    return found


def _activations(layers: int, width: int, tokens: int, config: SftConfig) -> float:
    cell = float(config.micro_batch * tokens * width)
    return 2 * cell * layers + PER_LAYER * cell if config.checkpointing else PER_LAYER * cell * layers


def _first(config: Any, *names: str) -> int:
    return next((int(getattr(config, name)) for name in names if hasattr(config, name)), 0)
