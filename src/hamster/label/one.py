"""One item becomes one labelled item: a pure function, whoever calls it and wherever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

from hamster.data import AnnotatedImage, Conversation, Drawing, Episode, Item, Unreadable
from hamster.extras import extra
from hamster.label.episodes import LabelledEpisode, label_episode
from hamster.label.how import Abstained, How
from hamster.path.simplify import EPSILON

NO_WORDS = "no instruction: nobody said in words what is done"

Labelled: TypeAlias = LabelledEpisode | AnnotatedImage | Conversation


@dataclass(frozen=True)
class Options:
    """How to label.

    Attributes:
        camera: of whose images the paths of episodes are; the first one if None.
        epsilon: of the simplification of paths.
        video: how the tip is found where no robot was recorded.
    """

    camera: str | None = None
    epsilon: float = EPSILON
    video: Literal["auto", "hands", "tracking"] = "auto"


def label_item(item: Item, options: Options) -> Labelled | Abstained | Unreadable:
    """The item with its paths, or why it has none.

    A robot's motion is projected where the robot was recorded and the camera is calibrated; else the tip is followed
    through the images. What turns out to be damaged only now, a video's tenth frame say, is `Unreadable` as if the
    reader had said so. What nobody put into words teaches no planner, and has no label.
    """
    try:
        if isinstance(item, Episode | AnnotatedImage) and not any(words.strip() for words in _words(item)):
            return Abstained(item.provenance.file or item.provenance.source, NO_WORDS)
        if isinstance(item, Episode):
            if not any(text.strip() for text in item.instructions):
                provenance = item.provenance
                return Abstained(provenance.file or provenance.source, "no instruction: its path could train nobody")
            if not _projectable(item, options.camera):
                from hamster.label.video import label_video  # who labels no video needs no tracker

                return label_video(item, options.video, options.camera, options.epsilon)
            return label_episode(item, options.camera, options.epsilon)
        if isinstance(item, Drawing):
            with extra("data"):
                from hamster.label.sketch import label_drawing
            return label_drawing(item, options.epsilon)
        return _with_how(item) if isinstance(item, AnnotatedImage) else item
    except (ValueError, OSError) as error:
        provenance = item.provenance  # type: ignore[union-attr]  # what is unreadable passes through
        return Unreadable(provenance.file or provenance.source, str(error))


def _words(item: Episode | AnnotatedImage) -> Sequence[str]:
    return item.instructions if isinstance(item, Episode) else [each.instruction for each in item.annotations]


def _with_how(image: AnnotatedImage) -> AnnotatedImage:
    """With a record of how its paths came about: read from a text in some dialect, or planned in a simulator."""
    extra = image.provenance.extra
    if "how" in extra:
        return image
    scores = [a.path.score for a in image.annotations if a.path.score is not None]
    how = How("text" if "dialect" in extra else "simulation", round(min(scores), 3) if scores else None)
    return replace(image, provenance=replace(image.provenance, extra={**extra, "how": asdict(how)}))


def _projectable(episode: Episode, camera: str | None) -> bool:
    views = episode.observations[0].views
    view = views.get(camera or next(iter(views), ""))
    return episode.tool_poses_world is not None and (view is None or view.camera is not None)
