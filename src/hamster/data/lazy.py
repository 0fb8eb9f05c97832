"""Observations that are read when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

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
