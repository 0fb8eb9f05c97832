"""`hamster bench`: speed, as ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional, UseCounterAction


@dataclass(frozen=True)
class Bench:
    """Time what we promise to be fast next to what it is compared with; exit code 1 if a promise is broken."""

    what: Positional[Literal["label", "policy"]]
    """label: simplification, tracking, projection, and two processes against one. policy: one step of each policy at
    the sizes of 3D FlowMatch Actor and RVT-2, on one thread."""
    out: Path = Path("outputs/bench")
    """Folder of bench.json."""
    json: UseCounterAction[int] = 0  # flags of type bool take a word here
    """Print nothing but the result, as one line of JSON; policy only."""

    def run(self) -> None:
        """Times, prints the table as it grows, writes bench.json."""
        if self.what == "policy":
            from hamster.cli.show_bench_policy import show_bench_policy

            show_bench_policy(self.out, self.json > 0)
            return
        from hamster.cli.show_bench import show_bench

        show_bench(self.what, self.out)
