"""An instruction as numbers without a language model: for policies with a text input."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray


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
