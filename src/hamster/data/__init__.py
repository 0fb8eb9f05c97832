"""Records, and one reader or writer per format."""

from hamster.data.records import (
    AnnotatedImage,
    Annotation,
    Episode,
    ImageObject,
    Mention,
    Observation,
    Provenance,
    View,
)

__all__ = [
    "AnnotatedImage",
    "Annotation",
    "Episode",
    "ImageObject",
    "Mention",
    "Observation",
    "Provenance",
    "View",
]
