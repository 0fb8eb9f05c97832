"""An instruction as numbers, without a language model: for policies that are told what to do, besides where."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray


def word_codes(instruction: str, count: int, width: int) -> NDArray[np.float64]:
    """(count, width): a fixed random code for each of the first words, zeros behind the last."""
    codes = np.zeros((count, width))
    for i, word in enumerate(instruction.lower().split()[:count]):
        codes[i] = np.random.default_rng(crc32(word.encode())).standard_normal(width)
    return codes
