"""Constrained decoding: only tokens that keep an answer on its way through a regular expression (llguidance)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import llguidance
import numpy as np
import torch
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from torch import Tensor
from transformers import LogitsProcessor

_PLACES = tuple(f"<loc{i:04d}>" for i in range(1024))  # PaliGemma's, in order
_PLACE = re.compile(r"<loc(?:\(\?:[^()]*\))>")
_PIECE = re.compile(
    r"(?P<place>~)|(?P<open>\(\?:)|(?P<mark>[)|?]|\{[0-9,]+\})|(?P<class>\[[^\]]+\])|\\?(?P<literal>.)", re.DOTALL
)


class Vocabulary:
    """A model's tokens as llguidance wants them; building one takes a second for 150,000 tokens."""

    def __init__(self, tokenizer: Any, size: int, ends: Sequence[int]) -> None:
        """Take `tokenizer`, the number of logits, and the tokens that end an answer."""
        self.size = size
        self.ends = list(ends)
        self.tokens = from_tokenizer(tokenizer, n_vocab=size, eos_token=self.ends)
        ids = [tokenizer.get_vocab().get(place, -1) for place in _PLACES[:: len(_PLACES) - 1]]
        self.places = f"<[{ids[0]}-{ids[1]}]>" if ids[1] - ids[0] == len(_PLACES) - 1 else ""

    def matcher(self, grammar: str) -> llguidance.LLMatcher:
        """A fresh walk through a regular expression; ValueError if it is not one."""
        rules = llguidance.LLMatcher.grammar_from_regex(grammar)
        if self.places and _PLACE.search(grammar):
            rules = llguidance.LLMatcher.grammar_from_lark(f"start: {_lark(grammar)}\nplace: {self.places}")
        matcher = llguidance.LLMatcher(self.tokens, rules)
        if matcher.is_error():
            raise ValueError(f"not a grammar: {' '.join(matcher.get_error().split())[:300]}")
        return matcher


class Constraint(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Forbids every token after which an answer could no longer match the grammar whole."""

    def __init__(self, vocabulary: Vocabulary, grammar: str, prompt_length: int) -> None:
        self.vocabulary = vocabulary
        self.grammar = grammar
        self.prompt_length = prompt_length
        self._matchers: list[llguidance.LLMatcher] = []
        self._masks = np.zeros((0, 0), np.int32)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(B, T) tokens so far, (B, V) logits of the next; the forbidden become -inf."""
        if not self._matchers:
            first = self.vocabulary.matcher(self.grammar)
            self._matchers = [first.deep_copy() for _ in range(len(input_ids))]
            self._masks = allocate_token_bitmask(len(input_ids), scores.shape[1])
        last = input_ids[:, -1].tolist() if input_ids.shape[1] > self.prompt_length else [None] * len(input_ids)
        for row, (matcher, token) in enumerate(zip(self._matchers, last, strict=True)):
            self._step(row, matcher, token)
        bits = np.unpackbits(self._masks.view(np.uint8), axis=1, count=scores.shape[1], bitorder="little")
        allowed = torch.from_numpy(bits.view(np.bool_)).to(scores.device)
        return torch.where(allowed, scores, -torch.inf)

    def _step(self, row: int, matcher: llguidance.LLMatcher, token: int | None) -> None:
        """Take in the token that was chosen, and note what may follow: after the end, only the end."""
        if token is not None and not matcher.is_stopped():
            matcher.consume_token(token)
        if not matcher.is_stopped():
            fill_next_token_bitmask(matcher, self._masks, row)
            return
        self._masks[row] = 0
        for end in self.vocabulary.ends:
            self._masks[row, end // 32] |= np.int32(1) << np.int32(end % 32)


def _lark(grammar: str) -> str:
    """The same as a Lark rule with places as tokens, for llguidance never spells what looks like a special token."""
    pieces = _PIECE.finditer(_PLACE.sub("~", grammar))
    return " ".join(_said(str(piece.lastgroup), piece[str(piece.lastgroup)]) for piece in pieces)


def _said(kind: str, text: str) -> str:
    return {"place": "place", "open": "(", "class": f"/{text}/", "literal": json.dumps(text)}.get(kind, text)
