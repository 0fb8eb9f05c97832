"""The one table that knows which URI names which source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from hamster.cli.names import unknown
from hamster.extras import extra

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage, Source


class Scheme(NamedTuple):
    """What may follow the colon, and the class that is made of it; imported when it is asked for."""

    rest: str
    module: str
    name: str
    images: bool = False


SOURCES = {
    "tabletop": Scheme("N", "hamster.sim.tabletop", "Demonstrations"),
    "tabletop-images": Scheme("N", "hamster.sim.tabletop", "TabletopImages", images=True),
    "offdomain": Scheme("N", "hamster.sim.offdomain", "OffDomain", images=True),
    "rlbench": Scheme("DIR", "hamster.data.rlbench", "RLBench"),
    "lerobot": Scheme("DIR", "hamster.data.lerobot", "LeRobot"),
    "rlds": Scheme("DIR", "hamster.data.rlds", "Rlds"),
    "hdf5": Scheme("PATH", "hamster.data.hdf5", "Hdf5"),
    "video": Scheme("GLOB", "hamster.data.video_source", "Video"),
    "sketch": Scheme("DIR", "hamster.data.sketch", "Sketch"),
    "points": Scheme("FILE", "hamster.data.points", "Points"),
    "trace": Scheme("FILE", "hamster.data.trace", "Trace"),
}


def open_source(uri: str, seed: int = 0) -> Source:
    """The source behind "scheme:rest"; the seed is the generators', readers have no use for it.

    Raises:
        ValueError: for a scheme that nobody knows, or a rest that the scheme cannot read.
        NotInstalledError: for a scheme that needs the extra `data`.
    """
    name, colon, rest = uri.partition(":")
    if name not in SOURCES:
        raise unknown("source", name, SOURCES)
    scheme = SOURCES[name]
    if not (colon and rest):
        raise ValueError(f"{uri!r} lacks what comes after the colon: {name}:{scheme.rest}")
    with extra("data"):
        source = cast("Callable[..., Source]", getattr(import_module(scheme.module), scheme.name))
    return source(_count(rest, name), seed) if scheme.rest == "N" else source(_existing(rest, name, scheme.rest))


def open_images(uri: str, seed: int = 0) -> Iterable[AnnotatedImage]:
    """The annotated images of a generator, or of a label set's folder.

    Raises:
        ValueError: for a source that holds anything else.
    """
    if Path(uri).is_dir():
        from hamster.label.read_images import read_images

        return read_images(Path(uri))
    names = [name for name, scheme in SOURCES.items() if scheme.images]
    if uri.partition(":")[0] not in names:
        raise ValueError(f"{uri!r} has no annotated images; give {', '.join(f'{s}:N' for s in names)}, or a folder")
    source = open_source(uri, seed)
    return cast("Iterable[AnnotatedImage]", (source[i] for i in range(len(source))))


def _count(text: str, scheme: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ValueError(f"{scheme}:N needs a whole number N >= 1, got {text!r}")
    return int(text)


def _existing(text: str, scheme: str, what: str) -> Path | str:
    if what == "GLOB":
        return text
    check, name = {"DIR": (Path.is_dir, "folder"), "FILE": (Path.is_file, "file")}.get(
        what, (Path.exists, "file or folder")
    )
    if not check(Path(text)):
        raise ValueError(f"no {name} {text!r}; say {scheme}:{what}")
    return Path(text)
