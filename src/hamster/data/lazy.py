"""Observations that are read when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hamster.data.records import Observation


class LazyObservations(Sequence[Observation]):
    """A sequence that has to know only its length and how to read one observation."""

    @abstractmethod
    def read(self, i: int) -> Observation:
        """Number i, 0 <= i < length; ValueError, in one line, if it is damaged."""

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Observation]: ...
    def __getitem__(self, index: int | slice) -> Observation | list[Observation]:
        if isinstance(index, slice):
            return [self.read(i) for i in range(*index.indices(len(self)))]
        return self.read(range(len(self))[index])


@runtime_checkable
class Shrinks(Protocol):
    """Observations whose images are read faster if they need not be large."""

    def small(self, i: int, camera: str, side_px: int) -> NDArray[np.uint8]:
        """The image of one camera (h, w, 3), its longer side `side_px` long at most, or not much longer."""
