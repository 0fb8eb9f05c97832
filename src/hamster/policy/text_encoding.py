"""An instruction as numbers, for policies with a text input: random codes of words, or a planner's embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hamster.policy.frozen_planner import FrozenPlanner


def word_embeddings(
    instruction: str, max_words: int, width: int, planner: FrozenPlanner | None
) -> NDArray[np.floating[Any]]:
    """Return the embeddings (max_words, width) of an instruction's words; zeros beyond the last.

    Args:
        instruction: words separated by spaces.
        max_words: rows.
        width: of an embedding; with a planner, that of its own.
        planner: whose embeddings they are, in which synonyms may be near each other; None: a random code per word.
    """
    if planner is None or not max_words:
        return hashed_word_embeddings(instruction, max_words, width)
    return planner.word_embeddings(instruction, max_words)


def hashed_word_embeddings(instruction: str, max_words: int, width: int) -> NDArray[np.float64]:
    """Return a fixed random vector for each word, chosen by its hash.

    Args:
        instruction: words separated by spaces; upper and lower case are the same.
        max_words: rows; words beyond are dropped, rows beyond the last word are zero.
        width: of a vector.

    Returns:
        (max_words, width).

    >>> hashed_word_embeddings("press the button", 4, 8).any(-1).tolist()
    [True, True, True, False]
    """
    embeddings = np.zeros((max_words, width))
    for i, word in enumerate(instruction.lower().split()[:max_words]):
        embeddings[i] = np.random.default_rng(crc32(word.encode())).standard_normal(width)
    return embeddings
