"""A source that converts the episodes of another one when they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hamster.data.inputs import Inputs
from hamster.data.lazy import LazyObservations, without_image
from hamster.data.records import Episode, Observation
from hamster.data.source import Item, Source, Tracked


def convert_episodes(
    source: Source, uri: str, convert: Callable[[Episode], Episode], facts: str, keeps_advice: bool = True
) -> Source:
    """Return a source with converted episodes; it states the inputs of its items if the given one does.

    Args:
        source: to read from. Items that are no episodes stay as they are.
        uri: of the new source.
        convert: returns the converted episode; picklable, as sources are.
        facts: what the conversion depends on; enters the digests of items.
        keeps_advice: whether what the source advises still holds.
    """
    kind = _TrackedSource if isinstance(source, Tracked) else _Source
    return kind(source, uri, convert, facts, keeps_advice)


@dataclass(frozen=True)
class _Source:
    """Arguments as of `convert_episodes`."""

    source: Source
    uri: str
    convert: Callable[[Episode], Episode]
    facts: str
    keeps_advice: bool

    @property
    def per_shard(self) -> int:
        return self.source.per_shard

    @property
    def advice(self) -> str:
        return str(getattr(self.source, "advice", "")) if self.keeps_advice else ""

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Item:
        item = self.source[index]
        return self.convert(item) if isinstance(item, Episode) else item

    def __getattr__(self, name: str) -> Any:
        """Return what else the source offers: its keypoints, a place for calibrations."""
        if name.startswith("_") or name == "source":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.source, name)


class _TrackedSource(_Source):
    """A class of its own, since a source is `Tracked` by having the method."""

    def inputs(self, index: int) -> Inputs:
        assert isinstance(self.source, Tracked)
        inputs = self.source.inputs(index)
        return replace(inputs, facts=f"{inputs.facts} {self.facts}")


@dataclass(frozen=True, eq=False)
class ConvertedObservations(LazyObservations):
    """Observations that are converted when they are read.

    Attributes:
        observations: to read from.
        convert: returns the converted observation, given its index and itself.
    """

    observations: Sequence[Observation]
    convert: Callable[[int, Observation], Observation]

    def __len__(self) -> int:
        return len(self.observations)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        return self.convert(i, self.observations[i])

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        return without_image(self.observations, camera)
