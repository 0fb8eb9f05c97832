"""`hamster data`: look at what is there, or write a label set in another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional


@dataclass(frozen=True)
class Show:
    """Count what is in a source or a label set, and draw its paths: show.json, show.png, optionally show.rrd."""

    source: Positional[str]
    """As for `hamster label`, or the folder of a label set."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("outputs/show")
    """Folder of what is written."""
    most: int | None = None
    """Only the first so many items."""
    seed: int = 0
    """Of the generators."""
    rerun: bool = False
    """Also write a recording for the Rerun viewer (the extra `rerun`)."""

    def run(self) -> None:
        """Counts, draws, prints the table."""
        from hamster.cli.show_data import show_data

        show_data(self.source, self.out, self.most, self.seed, self.rerun)


@dataclass(frozen=True)
class Export:
    """Write a label set as a LeRobot dataset, as a TRL vision dataset or as LLaVA conversations."""

    labels: Positional[Path]
    """Folder of a label set."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of what is written."""
    format: Literal["lerobot", "trl", "llava"]
    """Which of the three."""

    def run(self) -> None:
        """Writes, and prints what was written as one line of JSON."""
        import json

        from hamster.label.export import export
        from hamster.terminal import show_next, working

        with working(f"writing {self.out} …"):
            written = export(self.labels, self.out, self.format)
        print(json.dumps(written))  # noqa: T201  # for scripts
        if self.format == "lerobot":
            show_next(f"hamster data show lerobot:{self.out}")
        else:
            show_next(f"hamster train planner --config lora --model OWNER/NAME --data {self.labels}")


@dataclass(frozen=True)
class Data:
    """Look at data, or write it in another format."""

    command: (
        Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
    )

    def run(self) -> None:
        """Runs the command."""
        self.command.run()
