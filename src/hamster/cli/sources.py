"""The one table that knows which URI names which source of episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hamster.cli.names import unknown

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage
    from hamster.label.dataset import Item


@dataclass(frozen=True)
class Source:
    """What is behind a URI.

    Attributes:
        items: the items from number `start` on, read or generated as they are asked for.
        total: how many there are, None where that is known only at the end.
    """

    items: Callable[[int], Iterable[Item]]
    total: int | None


def _tabletop(rest: str, seed: int, workers: int) -> Source:
    from hamster.cli.pooled import demonstrations

    n = _count(rest, "tabletop")
    return Source(partial(demonstrations, n, seed, workers), n)


def _offdomain(rest: str, seed: int, workers: int) -> Source:
    from hamster.cli.pooled import images

    n = _count(rest, "offdomain")
    return Source(partial(images, n, seed, workers), n)


def _tabletop_images(rest: str, seed: int, workers: int) -> Source:
    from hamster.sim.tabletop import annotated_images

    del workers
    n = _count(rest, "tabletop-images")
    return Source(partial(annotated_images, n, seed), n)


def _rlbench(rest: str, seed: int, workers: int) -> Source:
    from itertools import islice

    from hamster.data.rlbench import episodes

    del seed, workers  # Nothing is drawn, and reading is quick.
    if not Path(rest).is_dir():
        raise ValueError(f"no folder {rest!r}; say rlbench:DIR with a folder of RLBench episodes")
    return Source(lambda start: islice(episodes(Path(rest)), start, None), None)


SOURCES: dict[str, Callable[[str, int, int], Source]] = {
    "tabletop": _tabletop,
    "tabletop-images": _tabletop_images,
    "offdomain": _offdomain,
    "rlbench": _rlbench,
}


IMAGES = ("offdomain", "tabletop-images")


def open_source(uri: str, seed: int = 0, workers: int = 1) -> Source:
    """The source behind "scheme:rest".

    Raises:
        ValueError: for a scheme that nobody knows, or a rest that the scheme cannot read.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme not in SOURCES:
        raise unknown("source", scheme, SOURCES)
    if not (colon and rest):
        raise ValueError(f"{uri!r} lacks what comes after the colon: tabletop:N, offdomain:N or rlbench:DIR")
    return SOURCES[scheme](rest, seed, workers)


def open_images(uri: str, seed: int = 0) -> Iterable[AnnotatedImage]:
    """The annotated images of a generator, or of a label set's folder.

    Raises:
        ValueError: for a source that holds anything else.
    """
    if Path(uri).is_dir():
        from hamster.label import read_annotated

        return read_annotated(Path(uri))
    if uri.partition(":")[0] not in IMAGES:
        raise ValueError(f"{uri!r} has no annotated images; give {', '.join(f'{s}:N' for s in IMAGES)}, or a folder")
    return cast("Iterable[AnnotatedImage]", open_source(uri, seed).items(0))


def _count(text: str, scheme: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ValueError(f"{scheme}:N needs a whole number N >= 1, got {text!r}")
    return int(text)
