"""`hamster demo`: the whole chain with the bundled models, and the controls that prove that the path steers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """Let the bundled planner draw paths and the bundled policy follow them; compare with three controls."""

    episodes: int = 21
    """Scenes per arm, shared by all arms."""
    out: Path = Path("outputs/demo")
    """Where eval_info.json, report.html and the films go. The same command again continues an interrupted run."""
    seed: int = 0
    """Which scenes."""
    workers: int | None = None
    """Processes; one per core if not given."""

    def run(self) -> None:
        """Runs the four arms on the built-in tabletop and prints their table."""
        from hamster.evaluate import EvalConfig, evaluate

        evaluate(EvalConfig(episodes=self.episodes, out=self.out, seed=self.seed, workers=self.workers))
