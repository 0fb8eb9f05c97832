"""Annotated images for evaluating a planner, from a source's URI or a label set's folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hamster.data.registry import SOURCES, open_source

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage, Unreadable


def open_images(uri: str, seed: int = 0) -> Iterable[AnnotatedImage | Unreadable]:
    """Return the annotated images of a source, some of which may be unreadable, or of a label set's folder.

    Raises:
        ValueError: for a source that holds anything else.
    """
    if Path(uri).is_dir():
        from hamster.label.read_images import read_images

        return read_images(Path(uri))
    scheme = uri.partition(":")[0]
    if scheme not in SOURCES or not SOURCES.get(scheme).has_images:
        names = [f"{name}:{SOURCES.get(name).argument}" for name in SOURCES if SOURCES.get(name).has_images]
        raise ValueError(f"{uri!r} has no annotated images; give {', '.join(names)}, or a folder")
    source = open_source(uri, seed)
    return cast("Iterable[AnnotatedImage | Unreadable]", (source[i] for i in range(len(source))))
