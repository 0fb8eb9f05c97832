"""Constrained decoding by a regular expression, with llguidance."""

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


class GrammarVocabulary:
    """A model's tokens in llguidance's form; building it takes a second for 150,000 tokens."""

    def __init__(self, tokenizer: Any, size: int, ends: Sequence[int]) -> None:
        """Build it.

        Args:
            tokenizer: of transformers.
            size: the number of logits.
            ends: the tokens that end an answer.
        """
        self.size = size
        self.ends = list(ends)
        self.tokens = from_tokenizer(tokenizer, n_vocab=size, eos_token=self.ends)
        ids = [tokenizer.get_vocab().get(place, -1) for place in _PLACES[:: len(_PLACES) - 1]]
        self.places = f"<[{ids[0]}-{ids[1]}]>" if ids[1] - ids[0] == len(_PLACES) - 1 else ""

    def matcher(self, grammar: str) -> llguidance.LLMatcher:
        """Return a new matcher of a regular expression; ValueError if it is not one."""
        rules = llguidance.LLMatcher.grammar_from_regex(grammar)
        if self.places and _PLACE.search(grammar):
            rules = llguidance.LLMatcher.grammar_from_lark(f"start: {_lark(grammar)}\nplace: {self.places}")
        matcher = llguidance.LLMatcher(self.tokens, rules)
        if matcher.is_error():
            raise ValueError(f"not a grammar: {' '.join(matcher.get_error().split())[:300]}")
        return matcher


class GrammarLogitsProcessor(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Masks every token after which the answer could no longer match the grammar as a whole."""

    def __init__(self, vocabulary: GrammarVocabulary, grammar: str, prompt_length: int) -> None:
        self.vocabulary = vocabulary
        self.grammar = grammar
        self.prompt_length = prompt_length
        self._matchers: list[llguidance.LLMatcher] = []
        self._masks = np.zeros((0, 0), np.int32)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits (B, V) after the tokens (B, T), with those of forbidden tokens at -inf."""
        if not self._matchers:
            matcher = self.vocabulary.matcher(self.grammar)
            self._matchers = [matcher.deep_copy() for _ in range(len(input_ids))]
            self._masks = allocate_token_bitmask(len(input_ids), scores.shape[1])
        last = input_ids[:, -1].tolist() if input_ids.shape[1] > self.prompt_length else [None] * len(input_ids)
        for row, (matcher, token) in enumerate(zip(self._matchers, last, strict=True)):
            self._step(row, matcher, token)
        bits = np.unpackbits(self._masks.view(np.uint8), axis=1, count=scores.shape[1], bitorder="little")
        allowed = torch.from_numpy(bits.view(np.bool_)).to(scores.device)
        return torch.where(allowed, scores, -torch.inf)

    def _step(self, row: int, matcher: llguidance.LLMatcher, token: int | None) -> None:
        """Advance a row's matcher by the token that was chosen, and set the row's mask: after the end, only the end."""
        if token is not None and not matcher.is_stopped():
            matcher.consume_token(token)
        if not matcher.is_stopped():
            fill_next_token_bitmask(matcher, self._masks, row)
            return
        self._masks[row] = 0
        for end in self.vocabulary.ends:
            self._masks[row, end // 32] |= np.int32(1) << np.int32(end % 32)


def _lark(grammar: str) -> str:
    """Return the same as a Lark rule with places as tokens: llguidance never spells what looks like a special token."""
    parts = _PIECE.finditer(_PLACE.sub("~", grammar))
    return " ".join(_lark_symbol(str(part.lastgroup), part[str(part.lastgroup)]) for part in parts)


def _lark_symbol(kind: str, text: str) -> str:
    return {"place": "place", "open": "(", "class": f"/{text}/", "literal": json.dumps(text)}.get(kind, text)
