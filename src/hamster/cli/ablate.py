"""`hamster ablate`: ways to see a path, policies, conditions and cameras in one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamster.cli.compute import Compute
from hamster.cli.names import listed


@dataclass(frozen=True)
class Ablate(Compute):
    """Compare policies in every condition and from every camera on the same scenes; or train the variants first.

    Writes ablation.md, ablation.json and ablation.png. The same command again goes on where it stopped.
    """

    policies: str = ""
    """Policies, separated by commas: names of bundled ones or checkpoint folders."""
    planners: str = "oracle,nano,shuffled,none"
    """Conditions, as in `hamster eval`. Policies that see no path are asked in the condition `none` only."""
    dialect: str | None = None
    """As in `hamster eval`."""
    cameras: str = "training,moved"
    """Where the camera stands: as in training, or 25 degrees aside."""
    episodes: int = 60
    """Scenes, shared by all."""
    counterfactual: int = 30
    """Scenes in which two paths have to lead to two outcomes; 0: leave that out."""
    seed: int = 0
    """Which scenes; of trainings, what is drawn."""
    out: Path = Path("outputs/ablation")
    """Result folder."""
    workers: int | None = None
    """Processes; one per core if not given."""
    restart: bool = False
    """Measure anew what was measured by other code, or of other weights, which is refused otherwise."""
    train: bool = False
    """Train variants first, all combinations of the next three, and compare them with the policies named above."""
    config: str = "flow,views"
    """Training configurations, separated by commas."""
    conditioners: str = "overlay,channels,tokens,cloud"
    """Ways to see a path; join several by +. `default`: the configuration's own; `none`: no path, ever."""
    demonstrations: str = "1.0"
    """Shares of the demonstrations."""
    steps: int | None = None
    """Of each training; the configuration's own if not given."""
    data: Path = Path("outputs/labels/policy")
    """Label set to train on."""
    dry_run: bool = False
    """Only say what would be done, and about how long it would take."""

    def run(self) -> None:
        """Trains what is to be trained, evaluates what is not done yet, and prints the table."""
        from hamster.cli.run_ablation import run_ablation

        run_ablation(self)

    @property
    def policy_names(self) -> tuple[str, ...]:
        """Those that are trained already."""
        return listed(self.policies)
