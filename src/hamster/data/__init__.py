"""Records, and one reader or writer per format."""

from hamster.data.records import (
    AnnotatedImage,
    Annotation,
    Conversation,
    Drawing,
    Episode,
    ImageObject,
    Keyposes,
    Mention,
    Observation,
    Provenance,
    View,
)
from hamster.data.source import Item, Source
from hamster.data.unreadable import Unreadable

__all__ = [
    "AnnotatedImage",
    "Annotation",
    "Conversation",
    "Drawing",
    "Episode",
    "ImageObject",
    "Item",
    "Keyposes",
    "Mention",
    "Observation",
    "Provenance",
    "Source",
    "Unreadable",
    "View",
]
