"""Conversations as tokens: the prompt exactly as a planner asks it, then the answers, which alone carry loss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hamster.planner.families import without_center_crop
from hamster.planner.finetune.dataset import Row
from hamster.planner.finetune.samples import Message

IGNORED = -100
Said = list[tuple[str, bool]]


class Chat:
    """A model's processor and chat template.

    Attributes:
        ends: the marks of which one stands at the end of every answer.
    """

    def __init__(self, processor: Any, model: Any) -> None:
        """Of a model and its processor, which pads on the left."""
        self.processor, self.tokenizer = processor, processor.tokenizer
        self.model_type: str = model.config.model_type
        ids = getattr(model.generation_config, "eos_token_id", None)
        known = [ids] if isinstance(ids, int) else list(ids or [])
        known += [self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else []
        self.ends: tuple[str, ...] = tuple(self.tokenizer.convert_ids_to_tokens(i) for i in dict.fromkeys(known))
        # What is asked has none of the model's marks; an answer may have those that are not special, as <loc0512>.
        self._marks = {
            "user": _pattern(self.tokenizer.get_added_vocab()),
            "assistant": _pattern(str(mark) for mark in self.tokenizer.added_tokens_decoder.values() if mark.special),
        }

    def prompts(self, rows: Sequence[Row]) -> Mapping[str, Tensor]:
        """What the model is asked, as tensors, padded on the left; rows as from `Samples.row`."""
        asked = [self._with_images(row["prompt"], row["images"]) for row in rows]
        found: Mapping[str, Tensor] = self.processor.apply_chat_template(
            asked, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip
        return found

    def asked(self, row: Row) -> str:
        """The prompt's text, an image being one mark."""
        return self._text(row["prompt"], True)

    def answers(self, row: Row) -> Said:
        """What follows the prompt, piece by piece, and whether it is the model's to say.

        Raises:
            ValueError: if the model's template says the beginning of a conversation in another way once it goes on.
        """
        said, text, pieces = list(row["prompt"]), self.asked(row), Said()
        for message in row["completion"]:
            said.append(message)
            is_answer = message["role"] == "assistant"
            now = self._text(said, not is_answer)
            if not now.startswith(text):
                raise ValueError("the chat template changes what was said before: its answers cannot be learned")
            pieces.append((now[len(text) :], is_answer))
            text = now
        if not any(end in pieces[-1][0] for end in self.ends):  # PaliGemma's says nothing after an answer
            pieces[-1] = (pieces[-1][0] + self.tokenizer.eos_token, True)
        return pieces

    def tokens(self, row: Row) -> tuple[list[int], list[int]]:
        """Token ids of the answers, and as labels: `IGNORED` where they are not the model's to say."""
        ids, labels = list[int](), list[int]()
        for text, is_answer in self.answers(row):
            piece = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            ids += piece
            labels += piece if is_answer else [IGNORED] * len(piece)
        return ids, labels

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """A batch, padded on the right, with `labels`: what TRL calls a data collator."""
        batch = dict(self.prompts(rows))
        mask = batch["attention_mask"].bool()
        said = [self.tokens(row) for row in rows]
        lengths = [int(kept.sum()) + len(ids) for kept, (ids, _) in zip(mask, said, strict=True)]
        aligned = [name for name, value in batch.items() if value.shape == mask.shape]
        fills = {"input_ids": self.tokenizer.pad_token_id, "labels": IGNORED}
        ours = {"input_ids": [ids for ids, _ in said], "attention_mask": [[1] * len(ids) for ids, _ in said]}
        if self.model_type == "paligemma":  # what was asked is read both ways, the answer from left to right
            ours["token_type_ids"] = ours["attention_mask"]
        for name in aligned:
            rest = ours.get(name, [[0] * len(ids) for ids, _ in said])
            batch[name] = _joined(batch[name], mask, rest, max(lengths), fills.get(name, 0))
        nothing = torch.full_like(mask, IGNORED, dtype=torch.long)
        batch["labels"] = _joined(nothing, mask, [labels for _, labels in said], max(lengths), IGNORED)
        return batch

    def _with_images(self, messages: Sequence[Message], images: Sequence[Any]) -> list[Message]:
        left = iter(images)
        filled = []
        for message in self._harmless(messages):
            parts = message["content"]
            shown = [
                part | {"image": without_center_crop(next(left), self.processor)} if part["type"] == "image" else part
                for part in parts
            ]
            filled.append({**message, "content": shown})
        return filled

    def _text(self, messages: Sequence[Message], ask: bool) -> str:
        text: str = self.processor.apply_chat_template(
            self._harmless(messages), add_generation_prompt=ask, tokenize=False
        )
        return text

    def _harmless(self, messages: Sequence[Message]) -> list[Message]:
        """What looks like one of the model's own marks is only text in data."""
        return [
            {**message, "content": [self._plain(part, message["role"]) for part in message["content"]]}
            for message in messages
        ]

    def _plain(self, part: dict[str, Any], role: str) -> dict[str, Any]:
        marks = self._marks["assistant" if role == "assistant" else "user"]
        if marks is None or part["type"] != "text":
            return part
        return {**part, "text": marks.sub(lambda mark: " ".join(mark.group()), part["text"])}


def _pattern(marks: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _joined(asked: Tensor, mask: Tensor, rest: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    """Rows of `asked` without their padding, followed by `rest`, padded on the right to `length`."""
    out = torch.full((len(rest), length), fill, dtype=asked.dtype)
    for row, (values, kept, more) in enumerate(zip(asked, mask, rest, strict=True)):
        both = torch.cat([values[kept], torch.tensor(more, dtype=asked.dtype)])
        out[row, : len(both)] = both
    return out
