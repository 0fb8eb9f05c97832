"""Write the report of a comparison: report.html, report.md, report.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from hamster.evaluate.comparison.compare import compare, n_without
from hamster.evaluate.comparison.episodes import Folder, Runs, read_runs
from hamster.evaluate.comparison.page import markdown, page
from hamster.evaluate.comparison.plan import Plan, labels
from hamster.evaluate.comparison.results import MEAN, METRICS, Comparison
from hamster.evaluate.comparison.tables import arms_table
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import show_table, working


@dataclass(frozen=True)
class ComparisonReport:
    """A report that has been written.

    Attributes:
        comparison: its numbers.
        markdown: its tables.
        file: the page.
        plan: that it follows.
    """

    comparison: Comparison
    markdown: str
    file: Path
    plan: Plan | None

    def show(self) -> None:
        """Print the table of arms, and the file to look at."""
        table = arms_table(self.comparison, labels(self.plan or Plan(), self.comparison.arms))
        show_table(table.head, [[escape(cell) for cell in row] for row in table.rows], table.title)
        print(f"look at {self.file}")  # noqa: T201


def write_report(
    folders: Sequence[Folder], out: Path, plan: Plan | None = None, notes: Sequence[str] = ()
) -> ComparisonReport:
    """Read result folders and write their report.

    Args:
        folders: of `hamster eval`, with the names of arms and their training seeds.
        out: folder of the report, created if missing.
        plan: as written before the run.
        notes: sentences to print beside those on what is missing.

    Raises:
        ValueError: if a folder holds no episodes, is damaged, or repeats another.
    """
    with working("computing intervals …"):
        runs = read_runs(folders)
        comparison = compare(runs, plan)
    provenance, notes = run_info(plan.statistics.seed if plan else 0), [*notes, *missing(runs, comparison, plan)]
    text = markdown(comparison, plan, runs, provenance, notes)
    out.mkdir(parents=True, exist_ok=True)
    content = {**comparison.to_json(), "notes": notes, "meta": provenance}
    write_atomic(out / "report.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_atomic(out / "report.md", text)
    write_atomic(out / "report.html", page(comparison, plan, runs, provenance, notes))
    return ComparisonReport(comparison, text, out / "report.html", plan)


def missing(runs: Runs, comparison: Comparison, plan: Plan | None) -> list[str]:
    """Return sentences on arms that were not run, axes and training seeds that are missing."""
    notes = []
    names = labels(plan or Plan(), [*comparison.arms, *(plan.arms if plan else ())])
    for name, planned in (plan.arms if plan else {}).items():
        if planned.not_run:
            notes.append(f"{names[name]}: not run, {planned.not_run}.")
        elif name not in runs:
            notes.append(f"{names[name]}: not run.")
        elif len(runs[name]) < planned.seeds:
            notes.append(f"{names[name]}: {len(runs[name])} of {planned.seeds} training seeds.")
    planned_axes = (*plan.scenes.axes, *plan.scenes.beside) if plan else ()
    if absent := [axis for axis in planned_axes if axis not in (*comparison.axes, *comparison.beside)]:
        notes.append(f"No arm was evaluated on {', '.join(absent)}, which the plan names: no number here includes it.")
    for arm in comparison.arms:
        lacking = [axis for axis in comparison.axes if (arm, axis) not in comparison.rates]
        if lacking:
            notes.append(f"{names[arm]}: no mean, since it was not evaluated on {', '.join(lacking)}.")
        for metric in METRICS if (arm, MEAN) in comparison.rates else ():
            n_lacking, n = n_without(runs[arm], comparison.axes, metric)
            if 0 < n_lacking < n:
                notes.append(f"{names[arm]}: no mean of {metric!r}, which {n_lacking} of {n} episodes do not record.")
        n_all = {len(table) for run in runs[arm].values() for table in run.records.values()}
        if len(n_all) > 1:
            notes.append(
                f"{names[arm]}: axes and training seeds have between {min(n_all)} and {max(n_all)} scenes; only scenes "
                "of all training seeds count."
            )
    return notes
