"""`hamster label`: everything that shows a task being done becomes paths, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from hamster.cli.names import SOURCES


@dataclass(frozen=True)
class Label:
    """Write a label set: images, and every frame of every episode, with the path from there to the end."""

    sources: Annotated[Positional[tuple[str, ...]], SOURCES]
    """One or more sources, SCHEME:ARGUMENT."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the label set. The same command again continues an interrupted run, and follows a source that has
    changed: only items that are new or changed are labelled."""
    seed: int = 0
    """Of the generators; the readers have no use for it."""
    engine: Literal["local", "ray", "inline"] = "local"
    """Where the work is done: on this machine's cores or on a Ray cluster; inline is for debuggers: in this process,
    which a bad item may end. The labels do not depend on it."""
    workers: int | None = None
    """Processes; one per core if not given. The labels do not depend on it."""
    format: Literal["hamster", "lerobot", "trl", "llava"] = "hamster"
    """hamster is what `hamster train` reads; the others are written from it, into a folder of that name in `out`."""
    camera: str | None = None
    """Of whose images the paths of episodes are, by name or last words; the one that shows most if not given."""
    epsilon: float = 0.05
    """Of the simplification, relative to the image."""
    video: Literal["auto", "hands", "tracking"] = "auto"
    """How the tip is found in videos of which no robot was recorded."""
    strict: bool = False
    """Stop at the first item that cannot be read, instead of counting it and going on."""
    item_timeout: float = 300.0
    """Seconds that one item may take before it is given up as failed; 0 is no limit."""
    item_memory: float | None = None
    """GiB of memory that one item's process may fill before it is given up as failed; half of this machine's if not
    given, 0 is no limit."""
    retry_failed: bool = False
    """Try again what failed in an earlier run into the same folder."""

    def run(self) -> None:
        """Opens the sources, writes the labels, and prints what came of it as one line of JSON."""
        import json

        from hamster.label import label
        from hamster.label.label_run import summary
        from hamster.terminal import show_next, working

        if self.format != "hamster":
            from hamster.label.export import export, writer

            writer(self.format)  # what it lacks is said before the work, not after it
        result = label(
            self.sources, self.out, seed=self.seed, engine=self.engine, workers=self.workers, camera=self.camera,
            epsilon=self.epsilon, video=self.video, strict=self.strict, item_timeout_s=self.item_timeout,
            item_memory_gib=self.item_memory, retry_failed=self.retry_failed,
        )  # fmt: skip
        if self.format != "hamster":
            with working(f"writing {self.out / self.format} …"):
                export(self.out, self.out / self.format, self.format)
        print(json.dumps(summary(result.manifest)))  # noqa: T201  # for scripts
        show_next(f"hamster data show {self.out}", f"hamster train planner --data {self.out}")
