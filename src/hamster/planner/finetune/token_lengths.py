"""Count the tokens of samples, image tokens included, before training: samples are never truncated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.planner.finetune.chat import ChatCollator
from hamster.planner.finetune.dataset import Indices, Row
from hamster.planner.finetune.samples import Samples

NOT_EXPRESSIBLE = -1


@dataclass(frozen=True)
class SampleFit:
    """Which samples a model can be trained on.

    Attributes:
        tokens: (N,) of each sample, 0 where the chat template cannot express it.
        fits: (N,) whether it is used.
        left_out: how many are not, by reason.
    """

    tokens: NDArray[np.int32]
    fits: NDArray[np.bool_]
    left_out: Mapping[str, int]


def context_of(model: Any) -> int | None:
    """Return the model's context length in tokens, None if its configuration has none."""
    longest: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return longest


def select_fitting(
    samples: Samples, tokens: NDArray[np.int32], chat: ChatCollator, context: int | None, need_image: bool
) -> SampleFit:
    """Select samples that are not longer than `context`, that the template can express, and with an image if needed.

    Args:
        samples: N of them.
        tokens: (N,) as `token_counts` returns them.
        chat: of the model.
        context: in tokens, None if unknown.
        need_image: whether every sample must have an image.

    Raises:
        ValueError: if nothing is left.
    """
    text_only = samples.pixels()[:, 0] == 0
    need_image = need_image or bool(
        text_only.any() and not _takes_text_alone(chat, samples.row(int(np.argmax(text_only))))
    )
    is_long = tokens > context if context else np.zeros(len(tokens), np.bool_)
    reasons = {
        f"longer than the model's context of {context} tokens": is_long,
        "rendered differently by the chat template once a conversation goes on": tokens == NOT_EXPRESSIBLE,
        "without a picture, which this model or FSDP needs": text_only & need_image,
    }
    fits = ~np.logical_or.reduce(list(reasons.values()))
    left_out = {reason: int(which.sum()) for reason, which in reasons.items() if which.any()}
    if not fits.any():
        raise ValueError(f"none of {len(tokens)} samples can be used: {left_out}")
    return SampleFit(np.maximum(tokens, 0), fits, left_out)


def token_counts(samples: Samples, indices: Indices, chat: ChatCollator) -> NDArray[np.int32]:
    """Count the tokens of samples, exactly as in training.

    Text is tokenised; the tokens of an image depend on its size only, and are counted once for each size.

    Args:
        samples: to count in.
        indices: (N,) of those to count.
        chat: of the model.

    Returns:
        (N,) tokens; `NOT_EXPRESSIBLE` where the chat template cannot express a sample.
    """
    pixels, image_tokens = samples.pixels(), dict[tuple[int, int], int]()
    counts = np.zeros(len(indices), np.int32)
    for place, index in enumerate(indices.tolist()):
        row = samples.row_without_image(index)
        size = (int(pixels[index, 0]), int(pixels[index, 1]))
        try:
            text_tokens = _text_tokens(row, chat) + len(chat.tokens(row)[0])
        except ValueError:
            counts[place] = NOT_EXPRESSIBLE
            continue
        if size[0] and size not in image_tokens:
            image_tokens[size] = _tokens_with_image(row, size, chat) - _text_tokens(row, chat)
        counts[place] = text_tokens + image_tokens.get(size, 0)
    return counts


def cached_token_counts(samples: Samples, chat: ChatCollator, cache: Path) -> NDArray[np.int32]:
    """Return `token_counts` of all samples.

    Args:
        samples: to count.
        chat: of the model.
        cache: a folder, where counts of an earlier call are read.
    """
    about = json.dumps([samples.key, chat.model_type, chat.tokenizer.chat_template, chat.processor.to_json_string()])
    file = cache / f"tokens-{hashlib.sha256(about.encode()).hexdigest()[:16]}.npy"
    if not file.is_file():
        part = file.with_suffix(".part.npy")
        np.save(part, token_counts(samples, np.arange(len(samples)), chat))
        part.replace(file)
    counts: NDArray[np.int32] = np.load(file)
    return counts


def _text_tokens(row: Row, chat: ChatCollator) -> int:
    """Count the tokens of the prompt, an image being one mark."""
    return len(chat.tokenizer(chat.prompt_text(row), add_special_tokens=False)["input_ids"])


def _tokens_with_image(row: Row, size: tuple[int, int], chat: ChatCollator) -> int:
    """Count the tokens of the prompt with an image of this size."""
    return int(chat.prompts([{**row, "images": [Image.new("RGB", size)]}])["input_ids"].shape[1])


def _takes_text_alone(chat: ChatCollator, row: Row) -> bool:
    try:
        chat.prompts([row])
    except ValueError:
        return False
    return True
