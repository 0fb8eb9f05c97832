"""`hamster bench`: speed, as ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from hamster.extras import extra, require


@dataclass(frozen=True)
class Bench:
    """Measure speed: latency, throughput and memory, as ratios to a baseline in the same run where there is one."""

    what: Positional[Literal["label", "eval", "policy", "planner", "serve", "robot", "studio"]]
    """label: simplification, tracking, projection, and two processes against one. eval: episodes of an evaluation, two
    processes against one. policy: one step of each policy at
    the sizes of 3D FlowMatch Actor and RVT-2, on one thread. planner: a planner in this process: latency, paths per
    second in batches of 1, 8 and 64, memory, overhead of a grammar. serve: a served planner under load by 1, 8 and 64
    clients. robot: intervals between commands at 10, 15 and 20 Hz while a simulated planner takes 1 to 3 s, and the
    delay of the watchdog's stop. studio: until a page can be used, a plan, images of the moving robot per second, and a
    stop, over HTTP and the websocket as a page."""
    out: Path = Path("outputs/bench")
    """Result folder of bench.json."""
    json: bool = False
    """Print only the result, as one line of JSON."""
    check: bool = False
    """Exit with code 1 if a ratio is below its limit, which a busy machine can cause (label and eval), or a limit is
    missed (studio)."""
    model: str = "nano"
    """Planner to measure, as for `hamster serve planner` (planner, serve and studio only)."""
    seconds: float = 20.0
    """Duration for each number of clients, or each rate, in seconds (serve and robot only)."""

    def run(self) -> None:
        """Measure, print the table as it grows, and write bench.json."""
        if self.check and self.what not in ("label", "eval", "studio"):
            raise ValueError(
                f"--check is for `hamster bench label`, `eval` and `studio`: {self.what} has no limits to check"
            )
        if self.what == "policy":
            with extra("policy"):
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
        if self.what == "robot":
            from hamster.cli.show_bench_robot import show_bench_robot

            show_bench_robot(self.out, self.json, self.seconds)
            return
        if self.what == "studio":
            require(["demo", "studio"], "hamster bench studio")
            from hamster.cli.show_bench_studio import show_bench_studio

            show_bench_studio(self.out, self.json, self.check, self.model)
            return
        if self.what == "eval":
            require(["sim", "planner", "policy"], "hamster bench eval")
        from hamster.cli.show_bench import show_bench

        show_bench(self.what, self.out, self.json, self.check)
