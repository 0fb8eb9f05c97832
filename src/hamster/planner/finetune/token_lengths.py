"""How many tokens samples have, image tokens included, before anything is trained: nothing is ever cut off."""

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

from hamster.planner.finetune.chat import Chat
from hamster.planner.finetune.dataset import Indices, Row
from hamster.planner.finetune.samples import Samples

UNSAYABLE = -1


@dataclass(frozen=True)
class Fit:
    """Which samples a model can learn from.

    Attributes:
        tokens: (N,) of each sample, 0 where it cannot be said.
        fits: (N,) whether it is learned from.
        left_out: how many are not, by reason.
    """

    tokens: NDArray[np.int32]
    fits: NDArray[np.bool_]
    left_out: Mapping[str, int]


def context_of(model: Any) -> int | None:
    """The longest conversation a model was made for, in tokens."""
    longest: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return longest


def fit(samples: Samples, tokens: NDArray[np.int32], chat: Chat, context: int | None, pictured: bool) -> Fit:
    """Sorts out what is longer than `context`, what the template cannot say, and what has no picture.

    Args:
        samples: N of them.
        tokens: (N,) as `count` gives them.
        chat: of the model.
        context: in tokens, None where nobody knows.
        pictured: whether every sample must have a picture.

    Raises:
        ValueError: if nothing is left.
    """
    bare = samples.pixels()[:, 0] == 0
    pictured = pictured or bool(bare.any() and not _takes_text_alone(chat, samples.row(int(np.argmax(bare)))))
    long = tokens > context if context else np.zeros(len(tokens), np.bool_)
    reasons = {
        f"longer than the model's context of {context} tokens": long,
        "said by the chat template in another way once a conversation goes on": tokens == UNSAYABLE,
        "without a picture, which this model or FSDP needs": bare & pictured,
    }
    fits = ~np.logical_or.reduce(list(reasons.values()))
    left_out = {reason: int(which.sum()) for reason, which in reasons.items() if which.any()}
    if not fits.any():
        raise ValueError(f"none of {len(tokens)} samples can be learned from: {left_out}")
    return Fit(np.maximum(tokens, 0), fits, left_out)


def count(samples: Samples, indices: Indices, chat: Chat) -> NDArray[np.int32]:
    """Tokens of each of these samples, exactly as in training; `UNSAYABLE` where the chat template cannot say one.

    Text is tokenised; how many tokens an image takes follows from its size, and is measured once for each size.
    """
    pixels, extra = samples.pixels(), dict[tuple[int, int], int]()
    found = np.zeros(len(indices), np.int32)
    for place, index in enumerate(indices.tolist()):
        row = samples.words_of(index)
        size = (int(pixels[index, 0]), int(pixels[index, 1]))
        try:
            text = _plain(row, chat) + len(chat.tokens(row)[0])
        except ValueError:
            found[place] = UNSAYABLE
            continue
        if size[0] and size not in extra:
            extra[size] = _expanded(row, size, chat) - _plain(row, chat)
        found[place] = text + extra.get(size, 0)
    return found


def counted(samples: Samples, chat: Chat, cache: Path) -> NDArray[np.int32]:
    """`count` of all samples, kept in `cache` for the next time."""
    about = json.dumps([samples.key, chat.model_type, chat.tokenizer.chat_template, chat.processor.to_json_string()])
    file = cache / f"tokens-{hashlib.sha256(about.encode()).hexdigest()[:16]}.npy"
    if not file.is_file():
        part = file.with_suffix(".part.npy")
        np.save(part, count(samples, np.arange(len(samples)), chat))
        part.replace(file)
    found: NDArray[np.int32] = np.load(file)
    return found


def _plain(row: Row, chat: Chat) -> int:
    """Tokens of the prompt, an image being one mark."""
    return len(chat.tokenizer(chat.asked(row), add_special_tokens=False)["input_ids"])


def _expanded(row: Row, size: tuple[int, int], chat: Chat) -> int:
    """Tokens of the prompt with an image of this size."""
    return int(chat.prompts([{**row, "images": [Image.new("RGB", size)]}])["input_ids"].shape[1])


def _takes_text_alone(chat: Chat, row: Row) -> bool:
    try:
        chat.prompts([row])
    except ValueError:
        return False
    return True
