"""`hamster demo`: the whole chain with the bundled models, and the baselines that prove that the path steers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamster.cli.compute import Compute


@dataclass(frozen=True)
class Demo(Compute):
    """Let the bundled planner draw paths and the bundled policy follow them; compare with three controls."""

    episodes: int = 24
    """Scenes per condition, shared by all conditions."""
    out: Path = Path("outputs/demo")
    """Result folder. An interrupted run is continued, a finished one is replaced."""
    seed: int = 0
    """Which scenes."""
    workers: int | None = None
    """Processes; one per core if not given."""

    def run(self) -> None:
        """Runs the four conditions on the built-in tabletop and prints their table."""
        from hamster.cli.planners import check_measured
        from hamster.cli.show import show_summary, with_progress
        from hamster.evaluate import evaluate
        from hamster.terminal import show_next

        result = evaluate(
            episodes=self.episodes, seed=self.seed, out=self.out, restart=True, workers=self.workers,
            progress=with_progress, **self.computed,
        )  # fmt: skip
        show_summary(result.info, self.out / "report.html")
        show_next("hamster label tabletop:320 -o outputs/labels/policy", "hamster train policy")
        check_measured(result.info)
