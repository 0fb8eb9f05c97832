"""Constrained decoding: every generated answer is a well-formed path or a refusal, whatever the weights."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hamster.nano import tokens
from hamster.path import PlanError

REFUSE_ABOVE = 0.5  # probability of "not in view"


class AnswerGrammar(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """A logits processor that permits `<ans> (patch bin [open|close])+ </ans>`, without repeated gripper events.

    Where the model's probability of "not in view" exceeds `refuse_above`, it permits only `<ans> </ans>` instead.

    Args:
        prompt_length: number of tokens before the answer.
        max_waypoints: largest number of waypoints in a path.
        refuse_above: probability of "not in view" above which that is the answer.
    """

    def __init__(
        self, prompt_length: int, max_waypoints: int = tokens.MAX_WAYPOINTS, refuse_above: float = REFUSE_ABOVE
    ) -> None:
        self.prompt_length = prompt_length
        self.max_waypoints = max_waypoints
        self.refuse_above = refuse_above

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (B, V) with -inf for all tokens that cannot follow the answers so far.

        Raises:
            PlanError: if the model's probability of "not in view" is NaN.
        """
        allowed = torch.zeros_like(scores, dtype=torch.bool)
        for row, answer_ids in enumerate(input_ids[:, self.prompt_length :].tolist()):
            for start, stop in self._next(answer_ids, scores[row]):
                allowed[row, start:stop] = True
        return scores.masked_fill(~allowed, -torch.inf)

    def _next(self, answer_ids: list[int], scores: Tensor) -> list[tuple[int, int]]:
        last = answer_ids[-1] if answer_ids else tokens.PAD
        if not answer_ids:
            return [(tokens.ANS, tokens.ANS + 1)]
        if last == tokens.ANS:
            absent = float(refusal_log_odds(scores[tokens.ANSWER]).sigmoid())
            if not 0 <= absent <= 1:
                raise PlanError(f'the model\'s probability of "not in view" is not a number ({absent})')
            refuses = absent > self.refuse_above
            return [(tokens.END, tokens.END + 1)] if refuses else [(tokens.PATCHES, tokens.OFFSETS)]
        if tokens.PATCHES <= last < tokens.OFFSETS:
            return [(tokens.OFFSETS, tokens.BYTES)]
        if last in (tokens.END, tokens.PAD):
            return [(tokens.PAD, tokens.PAD + 1)]
        return self._after_waypoint(answer_ids)

    def _after_waypoint(self, answer_ids: list[int]) -> list[tuple[int, int]]:
        following = [(tokens.END, tokens.END + 1)]
        if sum(tokens.OFFSETS <= token < tokens.BYTES for token in answer_ids) < self.max_waypoints:
            following.append((tokens.PATCHES, tokens.OFFSETS))
        if answer_ids[-1] >= tokens.OFFSETS:
            events = [token for token in answer_ids if token in (tokens.OPEN, tokens.CLOSE)]
            following += [(e, e + 1) for e in (tokens.OPEN, tokens.CLOSE) if not events or events[-1] != e]
        return following


def refusal_log_odds(logits: Tensor) -> Tensor:
    """Return log-odds (...) of "not in view" against all paths.

    Args:
        logits: (..., 324) logits over `tokens.ANSWER` of the token after `<ans>`.
    """
    patches = logits[..., tokens.PATCHES - tokens.ANS : tokens.OFFSETS - tokens.ANS]
    log_odds: Tensor = logits[..., tokens.END - tokens.ANS] - patches.logsumexp(-1)
    return log_odds
