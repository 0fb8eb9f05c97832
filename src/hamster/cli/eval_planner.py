"""`hamster eval-planner`: a planner alone, judged path by path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class EvalPlanner:
    """Measure how often a planner's path starts at the right object and ends at the right goal."""

    source: Positional[str] = "tabletop-images:300"
    """offdomain:N, tabletop-images:N (both with the seed below), or the folder of a label set."""
    planner: str = "nano"
    """Name of a bundled planner, or a checkpoint's folder."""
    episodes: int | None = None
    """Images, one instruction each; all of them if not given."""
    seed: int = 1000
    """Of the scenes and of the choice among their instructions; 0 is what the bundled planner was trained on."""
    out: Path = Path("outputs/eval-planner")
    """Result folder: eval_info.json, paths.jsonl, paths.png."""

    def run(self) -> None:
        """Asks, judges, and prints the table."""
        from hamster.cli.show import show_paths, show_summary, with_progress
        from hamster.cli.sources import open_images
        from hamster.evaluate.paths import evaluate_paths
        from hamster.planner import load_planner

        images, planner = open_images(self.source, self.seed), load_planner(self.planner)
        info = evaluate_paths(images, planner, self.planner, self.out, self.episodes, self.seed, with_progress)
        show_paths(info["paths"])
        show_summary(info, self.out / "paths.png")
