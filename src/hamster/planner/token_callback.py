"""A `TokenCallback` inside transformers' `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria

from hamster.planner.backend import TokenCallback


class CallbackStoppingCriteria(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped
    """Calls a `TokenCallback` after each token, and stops the rows for which it returns True.

    Args:
        on_token: the callback.
        request_of_row: for each row of the batch the index of its request.
        prompt_length: in tokens.
        decode: from a row's generated token ids to their text.
    """

    def __init__(
        self,
        on_token: TokenCallback,
        request_of_row: Sequence[int],
        prompt_length: int,
        decode: Callable[[list[int]], str],
    ) -> None:
        self._on_token, self._request_of_row = on_token, request_of_row
        self._prompt_length, self._decode = prompt_length, decode

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        """Return (B,) bool: which rows of `input_ids` (B, T) are done."""
        stops = self._on_token(
            lambda row: self._decode(input_ids[row, self._prompt_length :].tolist()), self._request_of_row
        )
        return torch.tensor(list(stops), device=input_ids.device)
