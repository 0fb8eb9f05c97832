"""Reading of label sets for training: images with annotations, from annotated images and episodes alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage
from hamster.label import annotated, episodes
from hamster.label.dataset import checked_shards, kinds_of
from hamster.label.read_images import stills

Rgb: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class WeightedDataset:
    """A label set in a mixture; `weight` is how often each of its images is drawn per epoch."""

    folder: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> WeightedDataset:
        """Parse DIR or DIR:WEIGHT, as on the command line.

        Raises:
            ValueError: if the weight is not a number > 0.
        """
        folder, colon, weight = text.rpartition(":")
        if not colon or Path(text).exists():
            return cls(Path(text))
        try:
            value = float(weight)
        except ValueError:
            value = -1.0
        if not 0 < value < 1e6:
            raise ValueError(f"{text!r}: after the colon comes a weight, a number > 0")
        return cls(Path(folder), value)


@dataclass(frozen=True)
class Shard:
    """One shard of a label set."""

    folder: Path
    kind: str
    names: tuple[str, ...]
    digests: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return a name that changes with the content."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()[:32]

    def pictures(self) -> tuple[Sequence[Rgb], Sequence[Mask]]:
        """Return images (H, W, 3) and masks (H, W) of object numbers, all `NO_OBJECT` where unknown."""
        if self.kind == "annotated":
            return annotated.read_pictures(self.folder / self._file(".npz"))
        rgb = [image.view.rgb for image in self._stills()]
        return rgb, [np.full(image.shape[:2], annotated.NO_OBJECT, np.uint8) for image in rgb]

    def lines(self) -> list[dict[str, Any]]:
        """Return `objects` and `annotations` of each image, as in the shards of annotated images."""
        if self.kind == "annotated":
            with (self.folder / self._file(".jsonl")).open(encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
        return [annotated.line(image) for image in self._stills()]

    def _stills(self) -> list[AnnotatedImage]:
        return stills(episodes.unpack(self.folder, self.names))

    def _file(self, suffix: str) -> str:
        return next(name for name in self.names if name.endswith(suffix))


def shards(folder: Path) -> Iterator[Shard]:
    """Yield the shards of a label set that have images with paths.

    Raises:
        ValueError: if there are none.
    """
    kinds = kinds_of(folder) & {"annotated", "episodes"}
    if not kinds:
        raise ValueError(f"{folder} holds neither episodes nor annotated images: no data to train a planner on")
    for kind in sorted(kinds):
        for files in checked_shards(folder, kind):
            names, digests = (tuple(file[key] for file in files) for key in ("file", "sha256"))
            yield Shard(folder, kind, names, digests)
