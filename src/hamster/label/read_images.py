"""Read single frames of labelled episodes as annotated images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hamster.data import AnnotatedImage, Annotation
from hamster.data.lazy import evenly_spaced
from hamster.label.dataset import kinds_of, read_annotated, read_episodes
from hamster.label.episodes import LabelledEpisode

FRAMES = 8  # of an episode, evenly spaced: replanning needs paths from mid-course too


def read_images(folder: Path, frames: int = FRAMES) -> Iterator[AnnotatedImage]:
    """Yield the annotated images of a label set and `frames` stills of each of its episodes.

    Raises:
        ValueError: if it has neither, or is damaged.
    """
    kinds = kinds_of(folder)
    if not kinds & {"annotated", "episodes"}:
        raise ValueError(f"{folder} holds neither episodes nor annotated images: no paths on pictures")
    if "annotated" in kinds:
        yield from read_annotated(folder)
    if "episodes" in kinds:
        for labelled in read_episodes(folder):
            yield from stills(labelled, frames)


def stills(labelled: LabelledEpisode, count: int = FRAMES) -> list[AnnotatedImage]:
    """Return evenly spaced frames, the first and the last among them; none of an episode whose pictures are absent."""
    episode, total = labelled.episode, len(labelled.labels)
    if episode.provenance.extra.get("images") == "absent":
        return []
    chosen = evenly_spaced(total, count)
    return [
        AnnotatedImage(
            episode.observations[t].views[labelled.camera],
            [Annotation(text, label.path, labelled.task) for text, label in labelled.at(t)],
            episode.provenance,
        )
        for t in chosen
    ]
