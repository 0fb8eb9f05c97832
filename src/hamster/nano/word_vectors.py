"""Frozen word vectors from a pretrained text encoder, so that words that no training text has get a meaning.

The file is built by `scripts/build_word_vectors.py` from all-MiniLM-L6-v2 (Wang et al., 2020, arXiv 2002.10957; Reimers
and Gurevych, 2019, arXiv 1908.10084), published under the Apache License 2.0, whose text lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hamster.nano import tokens

FILE = Path(__file__).with_name("word_vectors.safetensors")


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of N lower-case words.

    Attributes:
        words: all different.
        vectors: (N, D) int8; only the directions matter.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.int8]

    @classmethod
    def read(cls, file: Path = FILE) -> WordVectors:
        """Read the vectors that come with the package, or another file.

        Raises:
            ValueError: if the file is missing, damaged, or its words and vectors do not belong together.
        """
        try:
            arrays = load_file(file)
            words, vectors = tuple(arrays["words"].tobytes().decode().split("\n")), arrays["vectors"]
        except (OSError, KeyError, UnicodeDecodeError, SafetensorError) as error:
            raise ValueError(f"{file} is not a file of word vectors ({error}): build it anew or reinstall") from None
        if vectors.ndim != 2 or vectors.dtype != np.int8 or len(vectors) != len(set(words)):
            raise ValueError(f"{file} has {len(set(words))} words but vectors of {vectors.dtype} {vectors.shape}")
        return cls(words, vectors)

    def table(self, vocabulary: Mapping[str, int]) -> NDArray[np.int8]:
        """Return the vector of each entry of a tokenizer's vocabulary: (V, D), zeros where there is none.

        Args:
            vocabulary: token ids by entry; a word's entry starts with "▁".
        """
        table = np.zeros((max(vocabulary.values()) + 1, self.vectors.shape[1]), np.int8)
        for word, vector in zip(self.words, self.vectors, strict=True):
            token = vocabulary.get(f"▁{word}")
            if token is not None and token >= tokens.WORDS:
                table[token] = vector
        return table
