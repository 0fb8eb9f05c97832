"""The ledger of a plan: one line for each run that read the test seeds, committed beside the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hamster.evaluate.comparison.plan import Plan
from hamster.files import write_atomic
from hamster.provenance import git_commit
from hamster.sim.tabletop.axes.seeds import TEST

HEAD = "# Runs that read the test seeds: date, commit, seed of the scenes, arms.\n"


def enter_run(plan: Plan, ledger: Path, out: Path) -> None:
    """Add a line for a run that reads test seeds; a run that is continued in the same folder has one already.

    Args:
        plan: of the run; nothing is written for development seeds.
        ledger: file to add the line to, created if missing.
        out: folder of the run, which keeps its line.

    Raises:
        ValueError: if the source tree has changes that no commit holds, or is none.
    """
    if plan.scenes.seed not in TEST:
        return
    commit = git_commit() or ""
    run = f"{commit.removesuffix('+dirty')}\t{plan.scenes.seed}\t{' '.join(plan.arms_to_run)}"
    kept = out / "ledger_line"
    if kept.is_file() and kept.read_text() == run:
        return  # its own line is the change that no commit holds yet
    if not commit or commit.endswith("+dirty"):
        raise ValueError("test seeds are only read from a commit: commit or stash the changes of the source tree")
    line = f"{datetime.now(UTC).date().isoformat()}\t{run}\n"
    write_atomic(ledger, (ledger.read_text() if ledger.is_file() else HEAD) + line)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(kept, run)


def n_runs(ledger: Path) -> int:
    """Return how many runs have read the test seeds."""
    lines = ledger.read_text().splitlines() if ledger.is_file() else []
    return sum(not line.startswith("#") for line in lines)
