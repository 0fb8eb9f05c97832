"""Constrained decoding: whatever the weights say, what comes out is a path."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hamster.nano import tokens
from hamster.path import PlanError

REFUSE_ABOVE = 0.5


class AnswerGrammar(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Lets through `<ans> (patch bin [open|close])+ </ans>` with at most 8 waypoints and no event twice in a row.

    Or `<ans> </ans>`, "not in view", and nothing else, where the model finds that likelier than `refuse_above`.
    """

    def __init__(
        self, prompt_length: int, max_waypoints: int = tokens.MAX_WAYPOINTS, refuse_above: float = REFUSE_ABOVE
    ) -> None:
        self.prompt_length = prompt_length
        self.max_waypoints = max_waypoints
        self.refuse_above = refuse_above

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Forbid all tokens (B, V) that cannot follow the answers so far."""
        allowed = torch.zeros_like(scores, dtype=torch.bool)
        for row, said in enumerate(input_ids[:, self.prompt_length :].tolist()):
            for start, stop in self._next(said, scores[row]):
                allowed[row, start:stop] = True
        return scores.masked_fill(~allowed, -torch.inf)

    def _next(self, said: list[int], scores: Tensor) -> list[tuple[int, int]]:
        last = said[-1] if said else tokens.PAD
        if not said:
            return [(tokens.ANS, tokens.ANS + 1)]
        if last == tokens.ANS:
            absent = float(refusal_log_odds(scores[tokens.ANSWER]).sigmoid())
            if not 0 <= absent <= 1:
                raise PlanError(f'the model\'s probability of "not in view" is no number ({absent})')
            refuses = absent > self.refuse_above
            return [(tokens.END, tokens.END + 1)] if refuses else [(tokens.PATCHES, tokens.OFFSETS)]
        if tokens.PATCHES <= last < tokens.OFFSETS:
            return [(tokens.OFFSETS, tokens.BYTES)]
        if last in (tokens.END, tokens.PAD):
            return [(tokens.PAD, tokens.PAD + 1)]
        return self._after_waypoint(said)

    def _after_waypoint(self, said: list[int]) -> list[tuple[int, int]]:
        following = [(tokens.END, tokens.END + 1)]
        if sum(tokens.OFFSETS <= token < tokens.BYTES for token in said) < self.max_waypoints:
            following.append((tokens.PATCHES, tokens.OFFSETS))
        if said[-1] >= tokens.OFFSETS:
            events = [token for token in said if token in (tokens.OPEN, tokens.CLOSE)]
            following += [(e, e + 1) for e in (tokens.OPEN, tokens.CLOSE) if not events or events[-1] != e]
        return following


def refusal_log_odds(logits: Tensor) -> Tensor:
    """Of "not in view" against all paths, from the logits (..., 324) over `tokens.ANSWER` of what follows `<ans>`."""
    patches = logits[..., tokens.PATCHES - tokens.ANS : tokens.OFFSETS - tokens.ANS]
    log_odds: Tensor = logits[..., tokens.END - tokens.ANS] - patches.logsumexp(-1)
    return log_odds
