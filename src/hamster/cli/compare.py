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
    """Run a stage of a comparison that a plan describes: planners, then policies, then the table, then leaks.

    The same command continues an interrupted stage and skips what is done. A plan with test seeds adds a line to the
    ledger beside it.
    """

    stage: Positional[Literal["planners", "policies", "table", "leaks"]]
    """Train the planners; train the policies, once for each training seed; evaluate all arms and write the report;
    check training data, layouts and the arms that must fail (exit code 1 where a leak is not excluded)."""
    plan: Path = Path("runs/headline.toml")
    """TOML file with axes, arms, trainings, contrasts and predictions."""
    scale: str = ""
    """Table of the plan under [scales] that replaces its numbers, such as smoke."""
    out: Path = Path("outputs/headline")
    """Folder of all stages."""
    workers: int | None = None
    """Number of processes of the evaluations, and of policies that are trained at the same time; if not given, one per
    core."""
    engine: Literal["local", "ray"] = "local"
    """Where the evaluations run: on this machine's cores, or on a Ray cluster whose machines share the folders."""

    def run(self) -> None:
        """Run what is not done yet."""
        from hamster.evaluate.comparison.plan_file import read_plan
        from hamster.extras import require

        engine = ["ray"] if self.engine == "ray" else []
        require(["sim", "planner", "policy", "train", *engine], "hamster compare")
        from hamster.evaluate.comparison.stages import planner_commands, policy_commands, run_commands
        from hamster.provenance import usable_cores

        plan = read_plan(self.plan, self.scale)
        if self.stage == "policies":
            demonstrations, *trainings = policy_commands(plan, self.out)
            run_commands([demonstrations], self.out)
            run_commands(trainings, self.out, self.workers or usable_cores())
        elif self.stage == "table":
            self._table(plan)
        elif self.stage == "leaks":
            self._leaks(plan)
        else:
            run_commands(list(planner_commands(plan, self.out)), self.out)  # each of them takes all cores

    def _table(self, plan: Plan) -> None:
        from hamster.cli.planners import continued_later
        from hamster.cli.show import with_progress
        from hamster.evaluate.comparison.ledger import enter_run, n_runs
        from hamster.evaluate.comparison.report import write_report
        from hamster.evaluate.comparison.stages import evaluate_plan, result_folders

        ledger = self.plan.with_suffix(".ledger")
        enter_run(plan, ledger, self.out)
        with continued_later():
            evaluate_plan(plan, self.out, self.workers, with_progress, engine=self.engine)
        notes = [f"Runs that have read the test seeds, this one included: {n_runs(ledger)}."]
        write_report(result_folders(plan, self.out), self.out / "report", plan, notes).show()

    def _leaks(self, plan: Plan) -> None:
        from rich.markup import escape

        from hamster.evaluate.comparison.episodes import read_runs
        from hamster.evaluate.comparison.leaks import check_chance, check_layouts, check_training_data
        from hamster.evaluate.comparison.stages import SEED_OF_LABELS, result_folders
        from hamster.sim.tabletop.axes.layouts import demonstrated_layouts
        from hamster.terminal import show_table, working

        scheme, _, n = plan.demonstrations.partition(":")
        if scheme != "axes-demos" or not n.isdecimal():
            raise ValueError(f"{self.plan}: layouts are known of axes-demos:N alone, not of {plan.demonstrations!r}")
        with working("reading episodes, drawing the demonstrations …"):
            runs = read_runs(result_folders(plan, self.out))
            demonstrated = demonstrated_layouts(int(n), int(SEED_OF_LABELS))
            checks = [
                *check_training_data(plan, self.out),
                *check_layouts(runs, demonstrated),
                *check_chance(runs, plan),
            ]
        rows = [[c.kind, escape(c.subject), escape(c.finding), "yes" if c.passed else "NO"] for c in checks]
        show_table(("check", "of", "found", "no leak"), rows, f"Leaks: {self.out}")
        if not all(check.passed for check in checks):
            raise SystemExit(1)
