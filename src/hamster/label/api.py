"""`hamster.label()`: sources become a label set on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hamster.data import Source
from hamster.data.registry import open_source
from hamster.label.dataset import ITEM_SECONDS, item_limits
from hamster.label.label_item import Options
from hamster.path.simplify import EPSILON
from hamster.provenance import usable_cores


@dataclass(frozen=True, eq=False)
class LabelResult:
    """What `label` wrote.

    Attributes:
        folder: of the label set.
        manifest: the content of its manifest.json.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def n_items(self) -> int:
        """Items in the sources: episodes, images, drawings."""
        return int(self.manifest["counts"]["items"])

    @property
    def n_labelled(self) -> int:
        """Items that have labels."""
        return int(self.manifest["counts"]["labelled"])

    @property
    def n_skipped(self) -> int:
        """Items that show too little to be labelled."""
        return int(self.manifest["counts"]["abstained"])

    @property
    def n_failed(self) -> int:
        """Items that could not be read."""
        return int(self.manifest["counts"]["failed"])

    @property
    def n_paths(self) -> int:
        """Paths in the label set."""
        return int(self.manifest["counts"].get("paths", 0))

    @property
    def digest(self) -> str:
        """SHA-256 of all labels: the same sources and options give the same."""
        return str(self.manifest["digest"])


def label(
    sources: str | Source | Sequence[str | Source],
    out: Path | str,
    *,
    seed: int = 0,
    engine: Literal["local", "ray", "inline"] = "local",
    workers: int | None = None,
    camera: str | None = None,
    epsilon: float = EPSILON,
    video: Literal["auto", "hands", "tracking"] = "auto",
    strict: bool = False,
    item_timeout_s: float | None = ITEM_SECONDS,
    item_memory_gib: float | None = None,
    retry_failed: bool = False,
) -> LabelResult:
    """Write a label set: images, and every frame of every episode, with the path from there to the end.

    The same call again continues an interrupted run, and labels new or changed items of the sources. Progress and the
    items that were left out are reported on standard error.

    Args:
        sources: one or more, as URIs ("lerobot:DIR", see `hamster label --help`) or as objects (`hamster.data.Source`).
        out: folder of the label set.
        seed: of generators among the sources; not used by readers.
        engine: on this machine's cores, on a Ray cluster, or in this process, for debuggers.
        workers: processes, one per core if None; the labels do not depend on it.
        camera: to label, by name or its last words; by default the one that shows the tool most.
        epsilon: tolerance of path simplification (RDP), as a fraction of the image's size.
        video: method that finds the tip in videos without a recorded robot.
        strict: stop at the first item that cannot be read, instead of counting it and going on.
        item_timeout_s: seconds that one item may take; None or 0 is no limit.
        item_memory_gib: memory that one item's process may use; half of this machine's if None, 0 is no limit.
        retry_failed: try again what failed in an earlier run into the same folder.

    Raises:
        ValueError: if `out` holds another run or is in use by one, a source is unknown, or nothing could be labelled.
        RunStoppedError: if a disk is full; the same call goes on.
    """
    from hamster.label.label_run import label as label_run  # its progress bars, which readers of label sets do not need

    listed = [sources] if isinstance(sources, str) or not isinstance(sources, Sequence) else list(sources)
    if not listed:
        raise ValueError("name a source, tabletop:10 for instance; `hamster label --help` lists them")
    manifest = label_run(
        [open_source(source, seed) if isinstance(source, str) else source for source in listed],
        Path(out),
        seed=seed,
        engine=engine,
        workers=workers or usable_cores(),
        strict=strict,
        retry_failed=retry_failed,
        limits=item_limits(item_timeout_s, item_memory_gib),
        options=Options(camera, epsilon, video),
    )
    return LabelResult(Path(out), manifest)
