"""The bundled planner's module for detecting that something the instruction names is not in view.

Attention normalises over patches, so it finds a best match however bad that is. Here each word queries all patches,
and the unnormalised score of the best patch counts: a word with a low score makes the planner refuse.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig

MASKED_LOG_ODDS = -1e4
INITIAL_LOG_ODDS = -5.0  # of a word being absent, before training: everything is in view
WIDTH = 32  # of a query


class Presence(nn.Module):
    """A module that estimates the log-odds that something the instruction names is not in view."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.heads, width = config.presence_heads, config.hidden_size
        self.query = nn.Linear(width, self.heads * WIDTH)
        self.key = nn.Linear(config.tower_channels[-1], self.heads * WIDTH)
        self.judge = nn.Sequential(nn.Linear(width + self.heads, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, states: Tensor, words: Tensor, features: Tensor) -> Tensor:
        """Return log-odds (B, K) that at least one word has no referent in view.

        Args:
            states: (B, K, T, D) normalised states, before the last layer, of K instructions about each image.
            words: (B, K, T) True for the tokens of the instruction.
            features: (B, P, C) patch features.
        """
        batch, count, length, _ = states.shape
        queries = self.query(states).reshape(batch, count * length, self.heads, WIDTH).transpose(1, 2)
        keys = self.key(features).reshape(batch, -1, self.heads, WIDTH).transpose(1, 2)
        with torch.no_grad():  # recomputed below for the best patch alone, the only one with gradients
            where = (queries @ keys.transpose(2, 3)).argmax(-1)
        best = (queries * keys.gather(2, where[..., None].expand(-1, -1, -1, WIDTH))).sum(-1) / math.sqrt(WIDTH)
        best = best.transpose(1, 2).reshape(batch, count, length, self.heads)
        missing = self.judge(torch.cat([states, best.to(states.dtype)], -1))[..., 0].float() + INITIAL_LOG_ODDS
        log_odds: Tensor = missing.masked_fill(~words, MASKED_LOG_ODDS).logsumexp(-1)
        return log_odds


def with_refusal_odds(logits: Tensor, begins: Tensor, log_odds: Tensor) -> Tensor:
    """Return logits (..., 324) in which refusal, `</ans>` directly after `<ans>`, has the given odds against a path.

    Args:
        logits: (..., 324) over `tokens.ANSWER`.
        begins: (...) True where the token is `<ans>`.
        log_odds: log-odds of "not in view", broadcast to `begins`.
    """
    at = tokens.END - tokens.ANS
    patches = logits[..., tokens.PATCHES - tokens.ANS : tokens.OFFSETS - tokens.ANS]
    refused = (log_odds + patches.logsumexp(-1))[..., None]
    end = torch.where(begins[..., None], refused, logits[..., at : at + 1])
    return torch.cat([logits[..., :at], end, logits[..., at + 1 :]], -1)
