"""Facts as training texts without images: descriptions, and the word that each stands for."""

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

SPLITS = ("images", "text")  # those of "never" are reserved for evaluation


def fact_texts() -> list[str]:
    """Return all texts used in training."""
    return [fact.text for split in SPLITS for fact in facts(split)]


@dataclass(frozen=True, eq=False)
class FactTable:
    """All facts as tokens.

    Attributes:
        ids: (F, T) tokens of the texts, padded with `PAD`.
        length: (F,) numbers of tokens.
        answer: (F,) index into `names` of the word that a text stands for.
        names: (N,) token ids of these words.
    """

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
    """The facts of one batch.

    Attributes:
        ids: (F, T) tokens.
        last: (F,) position of the last token.
        answer: (F,) index of the word that the text stands for.
    """

    ids: Tensor
    last: Tensor
    answer: Tensor

    @classmethod
    def draw(cls, table: FactTable, n: int, rng: np.random.Generator, device: str) -> Facts:
        """Draw facts from a table, with repeats.

        Args:
            table: all facts.
            n: number of facts to draw.
            rng: random generator.
            device: of the tensors.
        """
        chosen = rng.choice(len(table.ids), n)
        longest = int(table.length[chosen].max())
        arrays = (table.ids[chosen, :longest], table.length[chosen] - 1, table.answer[chosen])
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


class FactProbe(nn.Module):
    """A head that predicts the word a text stands for, from the state of its last word and the word embeddings.

    In an instruction the same state points at patches, so what is learned from text alone transfers to pointing.

    Args:
        width: of states and word embeddings.
        names: (N,) token ids of the words.
    """

    names: Tensor

    def __init__(self, width: int, names: Tensor) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.register_buffer("names", names)

    def forward(self, model: HamsterNanoForConditionalGeneration, pixel_values: Tensor, facts: Facts) -> Tensor:
        """Return logits (F, N) over the words.

        Args:
            model: the planner.
            pixel_values: (1, 3, 192, 192) any image; the model needs one before a text.
            facts: the texts.
        """
        states = model.read_early(pixel_values, facts.ids[None])[1][0]
        last = states[torch.arange(len(facts.ids), device=states.device), facts.last]
        table = model.words.embed(self.names)
        logits: Tensor = self.project(last) @ table.to(last.dtype).T / table.shape[1] ** 0.5
        return logits.float()
