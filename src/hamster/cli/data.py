"""`hamster data`: statistics and a page of a source or label set, exports to other formats, the factors of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from hamster.cli.push_to_hub import Repo, push_to_hub


@dataclass(frozen=True)
class Show:
    """Write a page to click through a source or label set (show.html), its statistics, optionally show.rrd."""

    source: Positional[str]
    """A source, as for `hamster label`, or the folder of a label set."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("outputs/show")
    """Output folder."""
    most: int | None = None
    """Read only the first so many items."""
    seed: int = 0
    """Random seed of generated sources."""
    rerun: bool = False
    """Also write a recording for the Rerun viewer (needs the extra `rerun`)."""

    def run(self) -> None:
        """Write the statistics and print them."""
        from hamster.cli.show_data import show_data

        show_data(self.source, self.out, self.most, self.seed, self.rerun)


@dataclass(frozen=True)
class Export:
    """Export a label set as a LeRobot dataset, a TRL vision dataset or LLaVA conversations."""

    labels: Positional[Path]
    """Folder of a label set."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Output folder."""
    format: Literal["lerobot", "trl", "llava"]
    """Format to export to."""
    push_to_hub: Repo = None

    def run(self) -> None:
        """Export, and print the counts as one line of JSON."""
        import json

        from hamster.hub_upload import check_repo
        from hamster.label.export import export
        from hamster.label.upload import dataset_upload
        from hamster.terminal import show_next, working

        if self.push_to_hub is not None:
            check_repo(self.push_to_hub)
        with working(f"writing {self.out} …"):
            written = export(self.labels, self.out, self.format)
        print(json.dumps(written))  # noqa: T201  # for scripts
        if self.format == "lerobot":
            show_next(f"hamster data show lerobot:{self.out}")
        else:
            show_next(f"hamster train planner --config lora --model OWNER/NAME --data {self.labels}")
        if self.push_to_hub is not None:
            push_to_hub(dataset_upload, self.out, self.push_to_hub)


@dataclass(frozen=True)
class Axes:
    """Print which factors each axis of the suite `axes` holds out, and how many scenes its sampler rejects."""

    scenes: int = 8
    """Number of scenes of each case and family that are compared with the demonstrations."""
    seed: int = 0
    """Random seed of the scenes."""
    rejected: bool = False
    """Also execute the expert in the scenes, and print how many were drawn and rejected, by reason."""

    def run(self) -> None:
        """Print one or two Markdown tables."""
        from hamster.extras import require

        require(["sim"], "hamster data axes")
        from hamster.sim.tabletop.axes.matrix import rejection_table, table
        from hamster.terminal import working

        with working("drawing scenes …"):
            tables = [table(self.scenes, self.seed)]
            if self.rejected:
                tables.append(rejection_table(self.scenes, self.seed))
        for head, *rows in tables:
            print("\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n")  # noqa: T201


@dataclass(frozen=True)
class Data:
    """Show statistics and a page of data, export it to another format, or print what the axes hold out."""

    command: (
        Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
        | Annotated[Axes, tyro.conf.subcommand("axes", prefix_name=False)]
    )

    def run(self) -> None:
        """Run the subcommand."""
        self.command.run()
