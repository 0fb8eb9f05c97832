"""`hamster bench`: speed, as ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from hamster.extras import extra


@dataclass(frozen=True)
class Bench:
    """Time what is meant to be fast next to what it is compared with."""

    what: Positional[Literal["label", "policy", "planner", "serve"]]
    """label: simplification, tracking, projection, and two processes against one. policy: one step of each policy at
    the sizes of 3D FlowMatch Actor and RVT-2, on one thread. planner: one in this process: latency, paths a second in
    batches of 1, 8 and 64, memory, the cost of a grammar. serve: a served planner under 1, 8 and 64 clients."""
    out: Path = Path("outputs/bench")
    """Folder of bench.json."""
    json: bool = False
    """Print nothing but the result, as one line of JSON."""
    check: bool = False
    """Exit with code 1 if a ratio is below its limit, which a busy machine can cause; label only."""
    model: str = "nano"
    """What is timed or served, as for `hamster serve planner`; planner and serve only."""
    seconds: float = 20.0
    """For each number of clients; serve only."""

    def run(self) -> None:
        """Times, prints the table as it grows, writes bench.json."""
        if self.check and self.what != "label":
            raise ValueError(f"--check is for `hamster bench label`: {self.what} has no limits to check")
        if self.what == "policy":
            from hamster.cli.show_bench_policy import show_bench_policy

            show_bench_policy(self.out, self.json)
            return
        if self.what == "planner":
            from hamster.cli.show_bench_planner import show_bench_planner

            show_bench_planner(self.model, self.out, self.json)
            return
        if self.what == "serve":
            with extra("serve"):
                from hamster.cli.show_bench_serve import show_bench_serve
            show_bench_serve(self.out, self.json, self.model, self.seconds)
            return
        from hamster.cli.show_bench import show_bench

        show_bench(self.what, self.out, self.json, self.check)
