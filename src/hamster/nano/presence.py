"""Is all that the words name in view? The part of the bundled planner that says so.

Attention cannot tell: it finds the best match, however bad it is. Here each word asks all patches, and what counts is
how well the best one fits; a word that nothing fits makes the planner refuse.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig

NEVER = -1e4
START = -5.0  # log-odds of a word before anything is learnt: all is in view
WIDTH = 32  # of a question


class Presence(nn.Module):
    """From the states of words and the features of patches to the log-odds that something named is not in view."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__()
        self.heads, width = config.presence_heads, config.hidden_size
        self.query = nn.Linear(width, self.heads * WIDTH)
        self.key = nn.Linear(config.tower_channels[-1], self.heads * WIDTH)
        self.judge = nn.Sequential(nn.Linear(width + self.heads, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, states: Tensor, words: Tensor, features: Tensor) -> Tensor:
        """Log-odds (B, K).

        Args:
            states: (B, K, T, D) normed states before the last layer of K instructions about each image.
            words: (B, K, T) which tokens are an instruction's.
            features: (B, P, C) of the patches.
        """
        batch, count, length, _ = states.shape
        asked = self.query(states).reshape(batch, count * length, self.heads, WIDTH).transpose(1, 2)
        shown = self.key(features).reshape(batch, -1, self.heads, WIDTH).transpose(1, 2)
        with torch.no_grad():  # the best patch's product is formed anew below: gradients need no others
            where = (asked @ shown.transpose(2, 3)).argmax(-1)
        best = (asked * shown.gather(2, where[..., None].expand(-1, -1, -1, WIDTH))).sum(-1) / math.sqrt(WIDTH)
        best = best.transpose(1, 2).reshape(batch, count, length, self.heads)
        missed = self.judge(torch.cat([states, best.to(states.dtype)], -1))[..., 0].float() + START
        log_odds: Tensor = missed.masked_fill(~words, NEVER).logsumexp(-1)
        return log_odds


def answered(said: Tensor, begins: Tensor, log_odds: Tensor) -> Tensor:
    """Logits (..., 324) over `tokens.ANSWER`, in which what follows `<ans>`, at `begins` (...), has these odds.

    Args:
        said: of a path; where an answer begins, its end is as likely as `log_odds` (...) say that it has no path.
        begins: which tokens are `<ans>`.
        log_odds: broadcast to `begins`.
    """
    at = tokens.END - tokens.ANS
    patches = said[..., tokens.PATCHES - tokens.ANS : tokens.OFFSETS - tokens.ANS]
    refused = (log_odds + patches.logsumexp(-1))[..., None]
    end = torch.where(begins[..., None], refused, said[..., at : at + 1])
    return torch.cat([said[..., :at], end, said[..., at + 1 :]], -1)
