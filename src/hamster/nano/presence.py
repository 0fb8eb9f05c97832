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
            where = (queries @ keys.transpose(2, 3)).max(-1).indices  # three times as fast as argmax on a CPU
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
    first = logits[begins]  # one token of each answer: slices of all logits would cost a copy each, and one backwards
    paths = first[:, tokens.PATCHES - tokens.ANS : tokens.OFFSETS - tokens.ANS].logsumexp(-1)
    refused = log_odds.expand(begins.shape)[begins] + paths
    is_end = torch.arange(logits.shape[-1], device=logits.device) == at
    return logits.index_put((begins,), torch.where(is_end, refused[:, None].to(first.dtype), first))
