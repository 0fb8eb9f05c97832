"""The interface of data sources: what readers and generators implement, and labelling consumes."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

from hamster.data.inputs import Inputs
from hamster.data.records import AnnotatedImage, Conversation, Drawing, Episode, Unreadable

Item: TypeAlias = Episode | AnnotatedImage | Drawing | Conversation | Unreadable
"""What a source holds."""


class Source(Protocol):
    """A numbered collection of items, each of which can be read alone, in any process and any order.

    Sources are small and picklable: creating one lists the items and reads nothing else. An item that cannot be read is
    an `Unreadable`, so that counts add up. A source that can change is also `Tracked`.
    """

    @property
    def uri(self) -> str:
        """Its name on the command line, `lerobot:DIR` for instance."""

    @property
    def per_shard(self) -> int:
        """The number of items per file of a label set: 1 for episodes, many for images."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


@runtime_checkable
class Tracked(Protocol):
    """A source that states the inputs of its items.

    Of such a source a later run labels only new or changed items. The items of any other source are taken as unchanged
    as long as their number is.
    """

    def inputs(self, index: int) -> Inputs:
        """Return the inputs of an item; ValueError or OSError if the source is too damaged."""
