"""Tokenise conversations: the prompt exactly as a planner sends it, then the answers, which alone carry loss."""

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
Segments = list[tuple[str, bool]]


class ChatCollator:
    """A data collator with a model's processor and chat template.

    Attributes:
        ends: the tokens of which one ends every answer.
    """

    def __init__(self, processor: Any, model: Any) -> None:
        """Take a model and its processor, which pads on the left."""
        self.processor, self.tokenizer = processor, processor.tokenizer
        self.model_type: str = model.config.model_type
        ids = getattr(model.generation_config, "eos_token_id", None)
        end_ids = [ids] if isinstance(ids, int) else list(ids or [])
        end_ids += [self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else []
        self.ends: tuple[str, ...] = tuple(self.tokenizer.convert_ids_to_tokens(i) for i in dict.fromkeys(end_ids))
        # A prompt has none of the model's added tokens; an answer may have those that are not special, as <loc0512>.
        self._marks = {
            "user": _pattern(self.tokenizer.get_added_vocab()),
            "assistant": _pattern(str(mark) for mark in self.tokenizer.added_tokens_decoder.values() if mark.special),
        }

    def prompts(self, rows: Sequence[Row]) -> Mapping[str, Tensor]:
        """Return the prompts as tensors, padded on the left; rows as from `Samples.row`."""
        conversations = [self._with_images(row["prompt"], row["images"]) for row in rows]
        inputs: Mapping[str, Tensor] = self.processor.apply_chat_template(
            conversations, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip
        return inputs

    def prompt_text(self, row: Row) -> str:
        """Return the prompt's text, an image being one mark."""
        return self._text(row["prompt"], True)

    def answers(self, row: Row) -> Segments:
        """Return the text after the prompt in segments, and for each whether the model generates it.

        Raises:
            ValueError: if the chat template renders earlier turns differently once a conversation goes on.
        """
        messages, text, segments = list(row["prompt"]), self.prompt_text(row), Segments()
        for message in row["completion"]:
            messages.append(message)
            is_answer = message["role"] == "assistant"
            now = self._text(messages, not is_answer)
            if not now.startswith(text):
                raise ValueError("the chat template changes earlier turns: answers cannot be trained on")
            segments.append((now[len(text) :], is_answer))
            text = now
        if not any(end in segments[-1][0] for end in self.ends):  # PaliGemma's template adds nothing after an answer
            segments[-1] = (segments[-1][0] + self.tokenizer.eos_token, True)
        return segments

    def tokens(self, row: Row) -> tuple[list[int], list[int]]:
        """Return token ids of the answers, and the labels: `IGNORED` where the model does not generate them."""
        ids, labels = list[int](), list[int]()
        for text, is_answer in self.answers(row):
            segment = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            ids += segment
            labels += segment if is_answer else [IGNORED] * len(segment)
        return ids, labels

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return a batch, padded on the right, with `labels`."""
        batch = dict(self.prompts(rows))
        mask = batch["attention_mask"].bool()
        answers = [self.tokens(row) for row in rows]
        lengths = [int(kept.sum()) + len(ids) for kept, (ids, _) in zip(mask, answers, strict=True)]
        aligned = [name for name, value in batch.items() if value.shape == mask.shape]
        fills = {"input_ids": self.tokenizer.pad_token_id, "labels": IGNORED}
        appended = {"input_ids": [ids for ids, _ in answers], "attention_mask": [[1] * len(ids) for ids, _ in answers]}
        if self.model_type == "paligemma":  # bidirectional attention over the prompt, causal over the answer
            appended["token_type_ids"] = appended["attention_mask"]
        for name in aligned:
            rest = appended.get(name, [[0] * len(ids) for ids, _ in answers])
            batch[name] = _joined(batch[name], mask, rest, max(lengths), fills.get(name, 0))
        nothing = torch.full_like(mask, IGNORED, dtype=torch.long)
        batch["labels"] = _joined(nothing, mask, [labels for _, labels in answers], max(lengths), IGNORED)
        return batch

    def _with_images(self, messages: Sequence[Message], images: Sequence[Any]) -> list[Message]:
        remaining = iter(images)
        filled = []
        for message in self._without_special_tokens(messages):
            parts = message["content"]
            shown = [
                part | {"image": without_center_crop(next(remaining), self.processor)}
                if part["type"] == "image"
                else part
                for part in parts
            ]
            filled.append({**message, "content": shown})
        return filled

    def _text(self, messages: Sequence[Message], ask: bool) -> str:
        text: str = self.processor.apply_chat_template(
            self._without_special_tokens(messages), add_generation_prompt=ask, tokenize=False
        )
        return text

    def _without_special_tokens(self, messages: Sequence[Message]) -> list[Message]:
        """Spell out what looks like one of the model's own tokens: in data it is only text."""
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


def _joined(prompts: Tensor, mask: Tensor, rest: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    """Return rows of `prompts` without their padding, followed by `rest`, padded on the right to `length`."""
    out = torch.full((len(rest), length), fill, dtype=prompts.dtype)
    for row, (values, kept, more) in enumerate(zip(prompts, mask, rest, strict=True)):
        both = torch.cat([values[kept], torch.tensor(more, dtype=prompts.dtype)])
        out[row, : len(both)] = both
    return out
