"""The watcher of `hamster.planner.token_callback` inside transformers' `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria

from hamster.planner.token_callback import Watcher


class Watched(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped
    """Shows a watcher each step, and stops the answers that nobody wants any more.

    Args:
        look: the watcher.
        owners: for each row the number of its question.
        length: of the prompt, in tokens.
        text: from an answer's tokens so far to what it says.
    """

    def __init__(self, look: Watcher, owners: Sequence[int], length: int, text: Callable[[list[int]], str]) -> None:
        self._look, self._owners, self._length, self._text = look, owners, length, text

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        """(B,) bool: which rows of `input_ids` (B, T) are done."""
        stops = self._look(lambda row: self._text(input_ids[row, self._length :].tolist()), self._owners)
        return torch.tensor(list(stops), device=input_ids.device)
