"""What all sources of generated images have in common: they are numbers, not files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hamster.data import Inputs


@dataclass(frozen=True)
class GeneratedImages:
    """A data set of `n` images; each depends on the seed and its index alone, so a smaller set begins a larger one.

    Attributes:
        scheme: of the source's URI.
        item: what an image is called in messages.
    """

    n: int
    seed: int = 0
    per_shard: int = 64
    scheme: ClassVar[str]
    item: ClassVar[str] = "tabletop image"

    @property
    def uri(self) -> str:
        """The source as SCHEME:N."""
        return f"{self.scheme}:{self.n}"

    def __len__(self) -> int:
        return self.n

    def inputs(self, index: int) -> Inputs:
        """Return what an image is made from: no files, only the seed and the index."""
        number = range(self.n)[index]
        return Inputs(f"{self.item} {number}", (), f"{(self.seed, number)}")
