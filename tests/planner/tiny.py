"""Tiny random checkpoints of real architectures, saved as a user's would be: for tests without a model hub.

    tiny("qwen3_vl", folder)

writes config.json, model.safetensors, generation_config.json, tokenizer.json, tokenizer_config.json,
preprocessor_config.json, processor_config.json and (PaliGemma has none) chat_template.jinja, as the published
checkpoints have them; `hamster.planner.load_model.load_model` reads it. Nothing in it was made by a class that wants
torchvision. Weights are wide enough apart that greedy answers do not hang on rounding. The same type and seed give the
same checkpoint.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig, PreTrainedTokenizerFast

TYPES = ("qwen2_5_vl", "qwen3_vl", "smolvlm", "paligemma", "llava", "qwen3_5")
SPREAD = 0.2  # of the weights; 0.02, the default, makes all tokens nearly equally likely

_CORPUS = [
    "In the image, please execute the command described in <quest>put the red cube on the blue plate</quest>.",
    "Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal.",
    "<ans>[(0.25, 0.32), <action>Open Gripper</action>, (0.74, 0.21), <action>Close Gripper</action>]</ans>",
    '```json\n[\n\t{"point_2d": [250, 500], "label": "Close Gripper"},\n',
    '\t{"point_2d": [750, 250], "label": "2"}\n]\n```',
    "pick up the green bowl, press the button, open the drawer, push the cup to the left; 254 317 c 560 402 o",
]
_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.content is string %}"
    "{{ message.content }}{% else %}{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_LLAVA = (
    "{% for message in messages %}{{ message.role | upper }}: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% if message.role == 'assistant' %}</s>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tiny(model_type: str, folder: Path | str, seed: int = 0) -> Path:
    """Save a random checkpoint of one of `TYPES` in `folder`, which it returns."""
    folder = Path(folder)
    tokenizer, config, processor, template = _RECIPES[model_type]()
    tokenizer.save_pretrained(folder)
    own = {"processor_class": processor["processor_class"], **processor.pop("own", {})}
    (folder / "processor_config.json").write_text(json.dumps(own))
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(model_type, **config))
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model.generation_config = GenerationConfig(**ends, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    if model_type in ("llava", "vipllava", "paligemma"):
        _name_as_published(folder / "model.safetensors")
    return folder


def _name_as_published(weights: Path) -> None:
    """transformers saves by the names that it loaded; of a new model it does not know those of CLIP or SigLIP."""
    old, new = "vision_tower.", "vision_tower.vision_model."
    named = {name.replace(old, new) if name.startswith(old) else name: w for name, w in load_file(weights).items()}
    save_file(named, weights, metadata={"format": "pt"})


@cache
def _bpe() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        _CORPUS, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    )
    return str(tokenizer.to_str())


def _tokenizer(special: list[str], end: str, pad: str, start: str | None = None, **named: str) -> Any:
    tokenizer = Tokenizer.from_str(_bpe())
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=pad, padding_side="left",
        clean_up_tokenization_spaces=False, extra_special_tokens=named,
    )  # fmt: skip


def _decoder(tokenizer: Any, heads: int = 2, **more: Any) -> dict[str, Any]:
    """A language model of two layers."""
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": 1, "max_position_embeddings": 4096,
        "initializer_range": SPREAD, "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": False, **more,
    }  # fmt: skip


def _siglip(model_type: str, side: int, patch: int = 8, **more: Any) -> dict[str, Any]:
    return {
        "model_type": model_type, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": side, "patch_size": patch, "initializer_range": SPREAD, **more,
    }  # fmt: skip


def _normalised(kind: str, processor: str, **more: Any) -> dict[str, Any]:
    return {
        "image_processor_type": kind, "processor_class": processor, "do_resize": True, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], **more,
    }  # fmt: skip


Recipe = tuple[Any, dict[str, Any], dict[str, Any], str]


def _qwen(model_type: str) -> Recipe:
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    tokenizer = _tokenizer([*names, "<|video_pad|>"], "<|im_end|>", "<|endoftext|>")
    ids = {
        "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
    }  # fmt: skip
    older = model_type == "qwen2_5_vl"
    patch = 14 if older else 16
    sections = {"mrope_section": _SECTIONS[model_type], "rope_theta": 10000.0}
    rope = {"rope_type": "default", **sections, **({} if older else {"mrope_interleaved": True})}
    text = _decoder(tokenizer, hidden_size=128 if older else 64, rope_parameters=rope, **_QWEN_TEXT[model_type])
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 64, "num_heads": 1, "patch_size": patch,
        "temporal_patch_size": 2, "spatial_merge_size": 2, "initializer_range": SPREAD,
        "out_hidden_size": text["hidden_size"], **_QWEN_VISION[model_type],
    }  # fmt: skip
    config = {
        "text_config": text, "vision_config": vision, "tie_word_embeddings": False,
        **{key: tokenizer.convert_tokens_to_ids(name) for key, name in ids.items()},
    }  # fmt: skip
    processor = _normalised(
        "Qwen2VLImageProcessor", "Qwen2_5_VLProcessor" if older else "Qwen3VLProcessor",
        patch_size=patch, temporal_patch_size=2, merge_size=2,
        size={"shortest_edge": (2 * patch) ** 2 * 2, "longest_edge": (2 * patch) ** 2 * 12},
    )  # fmt: skip
    return tokenizer, config, processor, _CHATML


# Of each head's turned pairs, for time, height and width; Qwen3.5 turns a quarter of a head, of 64 here.
_SECTIONS = {"qwen2_5_vl": [8, 12, 12], "qwen3_vl": [12, 10, 10], "qwen3_5": [4, 2, 2]}
_QWEN_TEXT: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {},
    "qwen3_vl": {"head_dim": 64},
    "qwen3_5": {
        "head_dim": 64, "layer_types": ["linear_attention", "full_attention"], "linear_key_head_dim": 16,
        "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 2,
    },
}  # fmt: skip
_QWEN_VISION: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {"window_size": 56, "fullatt_block_indexes": [1]},
    "qwen3_vl": {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
    "qwen3_5": {"num_position_embeddings": 64},
}


def _smolvlm() -> Recipe:
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
    named = {
        "fake_image_token": "<fake_token_around_image>", "image_token": "<image>",
        "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>",
    }  # fmt: skip
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values(), *rows]
    tokenizer = _tokenizer(special, "<end_of_utterance>", "<|im_end|>", "<|im_start|>", **named)
    config = {
        "text_config": _decoder(tokenizer, model_type="llama", tie_word_embeddings=False),
        "vision_config": _siglip("smolvlm_vision", 32), "scale_factor": 2, "tie_word_embeddings": False,
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"), "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    processor = _normalised(
        "SmolVLMImageProcessor", "SmolVLMProcessor", do_image_splitting=True, do_pad=True,
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, own={"image_seq_len": 4},
    )  # fmt: skip
    return tokenizer, config, processor, _SMOLVLM


def _paligemma() -> Recipe:
    places = [f"<loc{i:04d}>" for i in range(1024)] + [f"<seg{i:03d}>" for i in range(128)]
    tokenizer = _tokenizer(["<pad>", "<eos>", "<bos>", "<image>"], "<eos>", "<pad>", "<bos>", image_token="<image>")
    tokenizer.add_tokens(["\n", *places])  # as the published tokenizer: ordinary tokens, not special ones
    config = {
        "text_config": _decoder(tokenizer, model_type="gemma", head_dim=32, tie_word_embeddings=True),
        "vision_config": _siglip("siglip_vision_model", 32, projection_dim=64, vision_use_head=False),
        "projection_dim": 64, "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    processor = _normalised(
        "SiglipImageProcessor", "PaliGemmaProcessor", size={"height": 32, "width": 32}, image_seq_length=16
    )
    return tokenizer, config, processor, ""


def _llava() -> Recipe:
    tokenizer = _tokenizer(["<pad>", "<s>", "</s>", "<image>"], "</s>", "<pad>", "<s>", image_token="<image>")
    config = {
        "text_config": _decoder(tokenizer, model_type="llama"),
        "vision_config": _siglip("clip_vision_model", 32, projection_dim=32),
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"), "image_seq_length": 16,
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    processor = _normalised(
        "CLIPImageProcessor", "LlavaProcessor", do_center_crop=True,
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32},
        own={"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
    )  # fmt: skip
    return tokenizer, config, processor, _LLAVA


def _vipllava() -> Recipe:
    """A type that `families.FAMILIES` does not have, for tests of registered families."""
    tokenizer, config, processor, template = _llava()
    del config["vision_feature_select_strategy"], config["vision_feature_layer"]
    return tokenizer, {**config, "vision_feature_layers": [-2, -1]}, processor, template


_RECIPES = {
    **{name: (lambda name=name: _qwen(name)) for name in ("qwen2_5_vl", "qwen3_vl", "qwen3_5")},
    "smolvlm": _smolvlm,
    "paligemma": _paligemma,
    "llava": _llava,
    "vipllava": _vipllava,
}
