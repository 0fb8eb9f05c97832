"""One item becomes one labelled item: a pure function, whoever calls it and wherever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hamster.data import AnnotatedImage, Conversation, Drawing, Episode, Item, Unreadable
from hamster.label.episodes import LabelledEpisode, label_episode
from hamster.label.how import Abstained
from hamster.path.simplify import EPSILON

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
    reader had said so.
    """
    try:
        if isinstance(item, Episode):
            if not _projectable(item, options.camera):
                from hamster.label.video import label_video  # who labels no video needs no tracker

                return label_video(item, options.video, options.camera, options.epsilon)
            return label_episode(item, options.camera, options.epsilon)
        if isinstance(item, Drawing):
            from hamster.label.sketch import label_drawing

            return label_drawing(item, options.epsilon)
        return item
    except (ValueError, OSError) as error:
        provenance = item.provenance  # type: ignore[union-attr]  # what is unreadable passes through
        return Unreadable(provenance.file or provenance.source, str(error))


def _projectable(episode: Episode, camera: str | None) -> bool:
    views = episode.observations[0].views
    view = views.get(camera or next(iter(views), ""))
    return episode.tool_poses_world is not None and (view is None or view.camera is not None)
