"""Data sources by the scheme of their URI: `lerobot:DIR`, `tabletop:N`, and those that users register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from hamster.extras import extra
from hamster.hub import HubId, fetch
from hamster.registry import Registry

if TYPE_CHECKING:
    from hamster.data.source import Source

Argument: TypeAlias = Literal["DIR", "FILE", "PATH", "GLOB", "N", "TEXT"]
"""What follows the colon of a URI: an existing folder, an existing file, either of the two, a pattern of files, how
many items a generator is to make, or any text.
"""
Opener = TypeVar("Opener", bound=Callable[..., Any])


@dataclass(frozen=True)
class SourceType:
    """How sources of one scheme are opened.

    Attributes:
        opener: "module:attribute" or a callable that returns a `Source`. It is called with a Path for DIR, FILE and
            PATH, with text for GLOB and TEXT, and with (count, seed) for N.
        argument: what follows the colon.
        has_images: whether its items are all annotated images, which `hamster eval planner` can measure a planner on.
        on_hub: whether a folder may also be a dataset of the Hugging Face Hub, OWNER/NAME.
    """

    opener: str | Callable[..., Source]
    argument: Argument = "DIR"
    has_images: bool = False
    on_hub: bool = False

    def __post_init__(self) -> None:
        if self.argument not in get_args(Argument):
            raise ValueError(f"argument is {self.argument!r}; there are: {', '.join(get_args(Argument))}")
        if not (isinstance(self.opener, str) or callable(self.opener)):
            raise TypeError(f"a source is opened by a class or function, not {self.opener!r:.50}")

    @property
    def implementation(self) -> str | Callable[..., Source]:
        """The class or function that opens it."""
        return self.opener


def _source_type(value: Any) -> SourceType:
    return value if isinstance(value, SourceType) else SourceType(value)


SOURCES: Registry[SourceType] = Registry(
    "source",
    "hamster.sources",
    {
        "tabletop": SourceType("hamster.sim.tabletop:Demonstrations", "N"),
        "tabletop-disturbed": SourceType("hamster.sim.tabletop:DisturbedDemonstrations", "N"),
        "axes-demos": SourceType("hamster.sim.tabletop.axes:AxesDemonstrations", "N"),
        "tabletop-images": SourceType("hamster.sim.tabletop:TabletopImages", "N", has_images=True),
        "tabletop-under-way": SourceType("hamster.sim.tabletop:TabletopUnderWay", "N", has_images=True),
        "tabletop-language": SourceType("hamster.sim.tabletop:TabletopLanguage", "N", has_images=True),
        "tabletop-factors": SourceType("hamster.sim.offdomain:TabletopFactors", "N", has_images=True),
        "offdomain": SourceType("hamster.sim.offdomain:OffDomain", "N", has_images=True),
        "offdomain-under-way": SourceType("hamster.sim.offdomain:OffDomainUnderWay", "N", has_images=True),
        "rlbench": SourceType("hamster.data.rlbench:RLBench"),
        "lerobot": SourceType("hamster.data.lerobot:LeRobot", on_hub=True),
        "rlds": SourceType("hamster.data.rlds:RLDS"),
        "hdf5": SourceType("hamster.data.hdf5:HDF5", "PATH"),
        "rgbd": SourceType("hamster.data.rgbd:RGBD"),
        "mcap": SourceType("hamster.data.mcap:MCAP", "PATH"),
        "estimated-depth": SourceType("hamster.data.estimated_depth:open_estimated_depth", "TEXT"),
        "video": SourceType("hamster.data.video_source:Video", "GLOB"),
        "sketch": SourceType("hamster.data.sketch:Sketch"),
        "points": SourceType("hamster.data.points:Points", "FILE"),
        "trace": SourceType("hamster.data.trace:Trace", "FILE", has_images=True),
        "vabench-v": SourceType("hamster.data.trace_benchmarks:VABenchV", "FILE", has_images=True),
        "sharerobot": SourceType("hamster.data.trace_benchmarks:ShareRobot", "FILE", has_images=True),
        "tracespatial": SourceType("hamster.data.trace_benchmarks:TraceSpatial", "FILE", has_images=True),
    },
    adapt=_source_type,
)


def register_source(
    scheme: str, argument: Argument = "DIR", *, has_images: bool = False, on_hub: bool = False
) -> Callable[[Opener], Opener]:
    """Return a decorator that registers a class or function as the source of a URI scheme.

    Args:
        scheme: what stands before the colon, "mcap" for `hamster label mcap:DIR`.
        argument: what follows the colon, see `Argument`; it says what the class or function is called with: a Path for
            DIR, FILE and PATH, text for GLOB and TEXT, (count, seed) for N.
        has_images: whether all its items are `AnnotatedImage`, for `hamster eval planner`.
        on_hub: whether scheme:OWNER/NAME fetches a dataset of the hub, whose folder the class is called with.
    """

    def register(opener: Opener) -> Opener:
        SOURCES.register(scheme, SourceType(opener, argument, has_images, on_hub))
        return opener

    return register


def usages() -> list[str]:
    """Return "scheme:ARGUMENT" of every source, without importing any; of declared ones "scheme:…"."""
    return [f"{name}:{_usage(SOURCES.get(name)) if SOURCES.is_known(name) else '…'}" for name in SOURCES]


def open_source(uri: str, seed: int = 0) -> Source:
    """Return the source behind "scheme:argument".

    Args:
        uri: as on the command line, `lerobot:DIR` for instance.
        seed: of generators; readers have no use for it.

    Raises:
        ValueError: for an unknown scheme, or an argument that does not fit it; one line that lists what there is.
        NotInstalledError: for a scheme that needs the extra `data`.
    """
    name, colon, rest = uri.partition(":")
    kind = SOURCES.get(name)
    if not (colon and rest):
        raise ValueError(f"{uri!r} lacks what comes after the colon: {name}:{kind.argument}")
    opener: Any = kind.opener
    if isinstance(opener, str):
        module, _, attribute = opener.partition(":")
        with extra("data"):
            opener = getattr(import_module(module), attribute)
    source: Source = opener(_count(rest, name), seed) if kind.argument == "N" else opener(_checked(rest, name, kind))
    return source


def _usage(kind: SourceType) -> str:
    return f"{kind.argument} or OWNER/NAME of the hub" if kind.on_hub else kind.argument


def _count(text: str, scheme: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ValueError(f"{scheme}:N needs a whole number N >= 1, got {text!r}")
    return int(text)


def _checked(text: str, scheme: str, kind: SourceType) -> Path | str:
    if kind.argument in ("GLOB", "TEXT"):
        return text
    hub_id = HubId.parse(text) if kind.on_hub else None
    if hub_id is not None:
        return fetch(hub_id, "dataset")
    check, name = {"DIR": (Path.is_dir, "folder"), "FILE": (Path.is_file, "file")}.get(
        kind.argument, (Path.exists, "file or folder")
    )
    if not check(Path(text)):
        raise ValueError(f"no {name} {text!r}; say {scheme}:{_usage(kind)}")
    return Path(text)
