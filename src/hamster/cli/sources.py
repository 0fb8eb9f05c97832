"""The one table that knows which URI names which source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hamster.cli.names import unknown

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage, Source


def _tabletop(rest: str, seed: int) -> Source:
    from hamster.sim.tabletop import Demonstrations

    return Demonstrations(_count(rest, "tabletop"), seed)


def _offdomain(rest: str, seed: int) -> Source:
    from hamster.sim.offdomain import OffDomain

    return OffDomain(_count(rest, "offdomain"), seed)


def _tabletop_images(rest: str, seed: int) -> Source:
    from hamster.sim.tabletop import TabletopImages

    return TabletopImages(_count(rest, "tabletop-images"), seed)


def _rlbench(rest: str, seed: int) -> Source:
    from hamster.data.rlbench import RLBench

    return RLBench(_folder(rest, "rlbench"))


SOURCES: dict[str, Callable[[str, int], Source]] = {
    "tabletop": _tabletop,
    "tabletop-images": _tabletop_images,
    "offdomain": _offdomain,
    "rlbench": _rlbench,
}
IMAGES = ("offdomain", "tabletop-images")


def open_source(uri: str, seed: int = 0) -> Source:
    """The source behind "scheme:rest"; the seed is the generators', readers have no use for it.

    Raises:
        ValueError: for a scheme that nobody knows, or a rest that the scheme cannot read.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme not in SOURCES:
        raise unknown("source", scheme, SOURCES)
    if not (colon and rest):
        raise ValueError(f"{uri!r} lacks what comes after the colon: tabletop:N, offdomain:N or rlbench:DIR")
    return SOURCES[scheme](rest, seed)


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
    source = open_source(uri, seed)
    return cast("Iterable[AnnotatedImage]", (source[i] for i in range(len(source))))


def _count(text: str, scheme: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ValueError(f"{scheme}:N needs a whole number N >= 1, got {text!r}")
    return int(text)


def _folder(text: str, scheme: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError(f"no folder {text!r}; say {scheme}:DIR")
    return Path(text)
