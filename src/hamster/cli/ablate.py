"""`hamster ablate`: conditioners, policies, conditions and cameras in one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamster.cli.compute import Compute
from hamster.cli.names import listed


@dataclass(frozen=True)
class Ablate(Compute):
    """Compare policies in every condition and with every camera on the same scenes; optionally train variants first.

    Writes ablation.md, ablation.json and ablation.png. The same command continues an interrupted run.
    """

    policies: str = ""
    """Policies, separated by commas: bundled names or checkpoint folders."""
    planners: str = "oracle,nano,shuffled,none"
    """Conditions, as in `hamster eval`. Policies without a path input run in the condition `none` only."""
    dialect: str | None = None
    """Answer format of planners that are not bundled, as in `hamster eval`."""
    cameras: str = "training,moved"
    """Camera poses, separated by commas: `training`, or `moved` by 25 degrees."""
    episodes: int = 60
    """Number of scenes, the same for all."""
    counterfactual: int = 30
    """Number of counterfactual scenes, in which two paths have to lead to two outcomes; 0 for none."""
    seed: int = 0
    """Random seed of scenes and trainings."""
    out: Path = Path("outputs/ablation")
    """Result folder."""
    workers: int | None = None
    """Number of processes; if not given, one per core."""
    restart: bool = False
    """Delete results of other code or weights and measure again; otherwise they are an error."""
    train: bool = False
    """Train variants first, all combinations of --config, --conditioners and --demonstrations, and compare them with
    --policies."""
    config: str = "flow,views"
    """Training configurations, separated by commas."""
    conditioners: str = "overlay,channels,tokens,cloud"
    """Path conditioners, separated by commas; join several by +. `default`: the configuration's own; `none`: no
    path."""
    demonstrations: str = "1.0"
    """Fractions of the demonstrations, separated by commas."""
    steps: int | None = None
    """Optimizer steps of each training; if not given, the configuration's own."""
    data: Path = Path("outputs/labels/policy")
    """Label set to train on."""
    dry_run: bool = False
    """Print what would be done and the estimated time, and do nothing."""

    def run(self) -> None:
        """Train, evaluate what is not done yet, and print the table."""
        from hamster.cli.planners import required_by_planners
        from hamster.extras import require

        training = ["train"] if self.train else []
        require(["sim", *required_by_planners(listed(self.planners)), "policy", *training], "hamster ablate")
        from hamster.cli.run_ablation import run_ablation

        run_ablation(self)

    @property
    def policy_names(self) -> tuple[str, ...]:
        """The policies that are trained already."""
        return listed(self.policies)
