"""Records, and one reader or writer per format."""

from hamster.data.records import (
    AnnotatedImage,
    Annotation,
    Episode,
    ImageObject,
    Keyposes,
    Mention,
    Observation,
    Provenance,
    View,
)
from hamster.data.unreadable import Unreadable

__all__ = [
    "AnnotatedImage",
    "Annotation",
    "Episode",
    "ImageObject",
    "Keyposes",
    "Mention",
    "Observation",
    "Provenance",
    "Unreadable",
    "View",
]
