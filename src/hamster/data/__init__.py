"""Records, and one reader or writer per format."""

from hamster.data.inputs import FilePart, Inputs
from hamster.data.records import (
    HALF_OPEN,
    AnnotatedImage,
    Annotation,
    Conversation,
    Drawing,
    Episode,
    ImageObject,
    Instruction,
    JointStates,
    Keyposes,
    Mention,
    Observation,
    Provenance,
    Unreadable,
    View,
)
from hamster.data.source import Item, Source, Tracked

__all__ = [
    "HALF_OPEN",
    "AnnotatedImage",
    "Annotation",
    "Conversation",
    "Drawing",
    "Episode",
    "FilePart",
    "ImageObject",
    "Inputs",
    "Instruction",
    "Item",
    "JointStates",
    "Keyposes",
    "Mention",
    "Observation",
    "Provenance",
    "Source",
    "Tracked",
    "Unreadable",
    "View",
]
