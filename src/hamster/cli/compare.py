"""`hamster compare`: train and evaluate the arms of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from hamster.evaluate.comparison.plan import Plan


@dataclass(frozen=True)
class Compare:
    """Run a stage of a comparison that a plan describes: planners, then policies, then the table.

    The same command continues an interrupted stage and skips what is done. A plan with test seeds adds a line to the
    ledger beside it.
    """

    stage: Positional[Literal["planners", "policies", "table"]]
    """Train the planners; train the policies, once for each training seed; evaluate all arms and write the report."""
    plan: Path = Path("runs/headline.toml")
    """TOML file with axes, arms, trainings, contrasts and predictions."""
    scale: str = ""
    """Table of the plan under [scales] that replaces its numbers, such as smoke."""
    out: Path = Path("outputs/headline")
    """Folder of all stages."""
    workers: int | None = None
    """Number of processes of the evaluations; if not given, one per core."""

    def run(self) -> None:
        """Run what is not done yet."""
        from hamster.evaluate.comparison.plan_file import read_plan
        from hamster.extras import require

        require(["sim", "planner", "policy", "train"], "hamster compare")
        from hamster.evaluate.comparison.stages import planner_commands, policy_commands, run_commands

        plan = read_plan(self.plan, self.scale)
        if self.stage == "table":
            self._table(plan)
        else:
            commands = {"planners": planner_commands, "policies": policy_commands}[self.stage](plan, self.out)
            run_commands(list(commands), self.out)

    def _table(self, plan: Plan) -> None:
        from hamster.cli.planners import continued_later
        from hamster.cli.show import with_progress
        from hamster.evaluate.comparison.ledger import enter_run, n_runs
        from hamster.evaluate.comparison.report import write_report
        from hamster.evaluate.comparison.stages import evaluate_plan, result_folders

        ledger = self.plan.with_suffix(".ledger")
        enter_run(plan, ledger, self.out)
        with continued_later():
            evaluate_plan(plan, self.out, self.workers, with_progress)
        notes = [f"Runs that have read the test seeds, this one included: {n_runs(ledger)}."]
        write_report(result_folders(plan, self.out), self.out / "report", plan, notes).show()
