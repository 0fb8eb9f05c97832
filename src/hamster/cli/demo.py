"""`hamster demo`: bundled planner and policy in closed loop, compared with the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamster.cli.compute import Compute


@dataclass(frozen=True)
class Demo(Compute):
    """Run the bundled planner and policy in closed loop and compare them with three baselines."""

    episodes: int = 24
    """Number of scenes, the same for all conditions."""
    out: Path = Path("outputs/demo")
    """Result folder. An interrupted run is continued, a finished one is replaced."""
    seed: int = 0
    """Random seed of the scenes."""
    workers: int | None = None
    """Number of processes; if not given, one per core."""

    def run(self) -> None:
        """Run the four conditions on the built-in tabletop and print their table."""
        from hamster.extras import require

        require(("demo",), "hamster demo")
        from hamster.cli.planners import check_measured
        from hamster.cli.show import show_summary, with_progress
        from hamster.evaluate import evaluate
        from hamster.terminal import show_next

        result = evaluate(
            episodes=self.episodes, seed=self.seed, out=self.out, restart=True, workers=self.workers,
            progress=with_progress, **self.computed,
        )  # fmt: skip
        show_summary(result.info, self.out / "report.html")
        show_next("hamster label tabletop-disturbed:320 -o outputs/labels/policy", "hamster train policy")
        check_measured(result.info)
