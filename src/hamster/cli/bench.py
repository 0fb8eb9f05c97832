"""`hamster bench`: speed, as ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Bench:
    """Time what we promise to be fast next to what it is compared with; exit code 1 if a promise is broken."""

    what: Positional[Literal["label"]]
    """label: simplification, tracking, projection, and two processes against one."""
    out: Path = Path("outputs/bench")
    """Folder of bench.json."""

    def run(self) -> None:
        """Times, prints the table as it grows, writes bench.json."""
        from hamster.cli.show_bench import show_bench

        show_bench(self.what, self.out)
