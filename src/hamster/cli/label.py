"""`hamster label`: episodes become paths, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional


@dataclass(frozen=True)
class Label:
    """Write a label set: every frame of every episode with the path from there to the end."""

    source: Positional[str]
    """tabletop:N (demonstrations), offdomain:N (images for the planner) or rlbench:DIR."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the label set. The same command again continues an interrupted run."""
    seed: int = 0
    """Of the generators; the readers have no use for it."""

    workers: int | None = None
    """Processes for what is generated; one per core if not given. The labels do not depend on it."""

    def run(self) -> None:
        """Opens the source and writes its labels."""
        from hamster.cli.sources import open_source
        from hamster.label.run import label
        from hamster.provenance import usable_cores

        source = open_source(self.source, self.seed, self.workers or usable_cores())
        label(source.items, self.out, source=self.source, seed=self.seed, total=source.total)
