"""Labelled items as a recording for the Rerun viewer: images, and the paths on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage
from hamster.extras import extra
from hamster.label.dataset_stats import Found
from hamster.label.episodes import LabelledEpisode
from hamster.path import Path2D
from hamster.path.colours import jet

JPEG_QUALITY = 85


def recorded(items: Iterable[Found], file: Path) -> Iterator[Found]:
    """Yield the items as they come and record them, each at its number on the timeline "item".

    Images are named as in LeRobot (`observation.images.front`), their paths `…/path`; frames of episodes follow one
    another on the timeline "frame".

    Raises:
        NotInstalledError: if Rerun is not installed.
    """
    with extra("rerun"):
        import rerun as rr
    stream = rr.RecordingStream("hamster")
    stream.save(file)
    for number, item in enumerate(items):
        stream.set_time("item", sequence=number)
        if isinstance(item, LabelledEpisode):
            _log_episode(rr, stream, item)
        elif isinstance(item, AnnotatedImage):
            stream.set_time("frame", sequence=0)
            for annotation in item.annotations[:1]:
                stream.log("instruction", rr.TextDocument(annotation.instruction))
                log_view(rr, stream, "image", item.view.rgb, annotation.path)
        yield item
    stream.disconnect()


def _log_episode(rr: Any, stream: Any, item: LabelledEpisode) -> None:
    for frame, observation in enumerate(item.episode.observations):
        stream.set_time("frame", sequence=frame)
        text, label = item.at(frame)[0]
        stream.log("instruction", rr.TextDocument(text))
        name = f"observation.images.{item.camera}"
        log_view(rr, stream, name, observation.views[item.camera].rgb, label.path)


def log_view(rr: Any, stream: Any, name: str, rgb: NDArray[np.uint8], path: Path2D) -> None:
    """Log an image (H, W, 3) under a name, and its path with the gripper's events below it."""
    height, width = rgb.shape[:2]
    px = path.uv * [width, height]
    stream.log(name, rr.Image(rgb).compress(jpeg_quality=JPEG_QUALITY))
    shades = jet(np.linspace(0, 1, max(len(px), 2)))
    stream.log(f"{name}/path", rr.LineStrips2D([px[i : i + 2] for i in range(max(len(px) - 1, 0))], colors=shades[:-1]))
    names = [state.name.lower() for _, state in path.events]
    stream.log(f"{name}/path/gripper", rr.Points2D([px[i] for i, _ in path.events], labels=names))
