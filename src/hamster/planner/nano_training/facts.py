"""Texts without pictures: what stands for a word, taught by the word that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hamster.data.knowledge import facts
from hamster.nano import tokens
from hamster.nano.modeling import HamsterNanoForConditionalGeneration

SPLITS = ("images", "text")  # those of "never" are kept for measuring


def fact_texts() -> list[str]:
    """Return all texts that are trained on."""
    return [fact.text for split in SPLITS for fact in facts(split)]


@dataclass(frozen=True, eq=False)
class FactTable:
    """Texts (F, T) as tokens, padded with `PAD`, their lengths (F,), and which of `names` (N,) each stands for (F,)."""

    ids: NDArray[np.int64]
    length: NDArray[np.int64]
    answer: NDArray[np.int64]
    names: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Any) -> FactTable:
        """Tokenise the facts whose meaning is one word of the vocabulary."""
        rows, meanings = [], []
        for fact in (fact for split in SPLITS for fact in facts(split)):
            meaning = tokenizer(fact.meaning, add_special_tokens=False)["input_ids"]
            if len(meaning) == 1 and meaning[0] >= tokens.WORDS:
                rows.append(tokenizer(fact.text, add_special_tokens=False)["input_ids"])
                meanings.append(meaning[0])
        names, answer = np.unique(np.array(meanings, np.int64), return_inverse=True)
        length = np.array([len(row) for row in rows], np.int64)
        ids = np.full((len(rows), int(length.max(initial=0))), tokens.PAD, np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        return cls(ids, length, answer, names)


@dataclass(frozen=True, eq=False)
class Facts:
    """Some texts: ids (F, T), the place of each one's last token (F,), and which name it stands for (F,)."""

    ids: Tensor
    last: Tensor
    answer: Tensor

    @classmethod
    def draw(cls, table: FactTable, n: int, rng: np.random.Generator, device: str) -> Facts:
        """Draw n of a table's texts, as tensors on a device."""
        chosen = rng.choice(len(table.ids), n)
        longest = int(table.length[chosen].max())
        arrays = (table.ids[chosen, :longest], table.length[chosen] - 1, table.answer[chosen])
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


class FactProbe(nn.Module):
    """Names what a text stands for from the state of its last word, by the table of word embeddings.

    The same state points at patches in an instruction: so what is known of text alone is known there, too.
    """

    names: Tensor

    def __init__(self, width: int, names: Tensor) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.register_buffer("names", names)

    def forward(self, model: HamsterNanoForConditionalGeneration, pixel_values: Tensor, facts: Facts) -> Tensor:
        """Return logits (F, N) of the names; an image (1, 3, 192, 192) precedes the texts, and has no influence."""
        states = model.read_blocks(pixel_values, facts.ids[None]).early_states[0]
        last = states[torch.arange(len(facts.ids), device=states.device), facts.last]
        table = model.words.token.weight[self.names]
        logits: Tensor = self.project(last) @ table.to(last.dtype).T / table.shape[1] ** 0.5
        return logits.float()
