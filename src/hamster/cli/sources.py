"""The one table that knows which URI names which source of episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.cli.names import unknown

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage, Episode

    Items = Iterable[Episode] | Iterable[AnnotatedImage]


def _tabletop(rest: str, seed: int) -> Items:
    from hamster.sim.tabletop import episodes

    return episodes(_count(rest, "tabletop"), seed)


def _offdomain(rest: str, seed: int) -> Items:
    from hamster.sim.offdomain import annotated_images

    return annotated_images(_count(rest, "offdomain"), seed)


def _rlbench(rest: str, seed: int) -> Items:
    del seed  # Nothing is drawn.
    from hamster.data.rlbench import episodes

    if not Path(rest).is_dir():
        raise ValueError(f"no folder {rest!r}; say rlbench:DIR with a folder of RLBench episodes")
    return episodes(Path(rest))


SOURCES: dict[str, Callable[[str, int], Items]] = {
    "tabletop": _tabletop,
    "offdomain": _offdomain,
    "rlbench": _rlbench,
}


def open_source(uri: str, seed: int = 0) -> Items:
    """The items behind "scheme:rest", read or generated as they are asked for.

    Raises:
        ValueError: for a scheme that nobody knows, or a rest that the scheme cannot read.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme not in SOURCES:
        raise unknown("source", scheme, SOURCES)
    if not (colon and rest):
        raise ValueError(f"{uri!r} lacks what comes after the colon: tabletop:N, offdomain:N or rlbench:DIR")
    return SOURCES[scheme](rest, seed)


def write_labels(uri: str, out: Path, seed: int = 0) -> None:
    """Labels everything in the source and writes the label set."""
    from hamster.label.dataset import write

    write(open_source(uri, seed), out, source=uri, seed=seed)


def _count(text: str, scheme: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{scheme}:N needs a whole number N >= 1, got {text!r}")
    return int(text)
