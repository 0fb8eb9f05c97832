"""`hamster eval planner`, or `eval-planner`: a planner alone, judged path by path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional, UseAppendAction

USUAL = "tabletop-images:300"


@dataclass(frozen=True)
class EvalPlanner:
    """Measure how often a planner's path starts at the right object and ends at the right goal, how near it is, whether
    its scores mean what they say, and whether it refuses what is not in view."""

    source: Positional[tuple[str, ...]] = ()
    """One or more of offdomain:N, tabletop-images:N (both with the seed below), and folders of label sets;
    tabletop-images:300 if none is given."""
    data: UseAppendAction[tuple[str, ...]] = ()
    """The same, as an option that may be given several times."""
    planner: str = "nano"
    """Name of a bundled planner, or a checkpoint's folder."""
    episodes: int | None = None
    """Images of each source, one instruction each; all of them if not given."""
    seed: int = 1000
    """Of the scenes and of the choice among their instructions; 0 is what the bundled planner was trained on."""
    out: Path = Path("outputs/eval-planner")
    """Result folder: eval_info.json, paths.jsonl, paths.png, reliability.png."""
    calibrate: bool = False
    """Write calibration.json into the checkpoint's folder, fitted on these answers; judge it with another seed."""

    def run(self) -> None:
        """Asks, judges, and prints the tables."""
        from hamster.cli.show import show_summary, with_progress
        from hamster.cli.show_paths import show_paths
        from hamster.cli.sources import open_images
        from hamster.evaluate.paths import evaluate_paths
        from hamster.planner import load_planner

        names = tuple(dict.fromkeys((*self.source, *self.data))) or (USUAL,)
        sources = {name: open_images(name, self.seed) for name in names}
        planner = load_planner(self.planner)
        if self.calibrate:
            from hamster.evaluate.paths_calibrate import calibrate
            from hamster.planner.planner import find_planner

            found = calibrate(sources, planner, self.episodes, self.seed, with_progress)
            found.save(find_planner(self.planner))
            planner, sources = load_planner(self.planner), {name: open_images(name, self.seed) for name in names}
        info = evaluate_paths(sources, planner, self.planner, self.out, self.episodes, self.seed, with_progress)
        show_paths(info["sources"])
        show_summary(info, self.out / "paths.png")
