"""`hamster report`: several evaluations as one comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Report:
    """Compare arms over axes and training seeds: one page with figures, intervals, paired differences and failures.

    Reads result folders of `hamster eval`; writes report.html, report.md and report.json.
    """

    folders: Positional[tuple[str, ...]]
    """Result folders: DIR, ARM=DIR, or ARM@SEED=DIR for a policy of another training seed. Without a name the arm is
    called by its policy and condition."""
    plan: Path | None = None
    """TOML file that was written before the run: arms, axes in the mean, contrasts, predictions. Without one the first
    arm is compared with every other."""
    scale: str = ""
    """Table of the plan under [scales] that replaces its numbers."""
    out: Path = Path("outputs/report")
    """Folder of the report."""
    markdown: bool = False
    """Print the tables as Markdown instead of a summary."""

    def run(self) -> None:
        """Write the report and print its table."""
        from hamster.evaluate.comparison.episodes import Folder
        from hamster.evaluate.comparison.plan_file import read_plan
        from hamster.evaluate.comparison.report import write_report

        if not self.folders:
            raise ValueError("name at least one result folder of `hamster eval`: hamster report outputs/eval")
        plan = None if self.plan is None else read_plan(self.plan, self.scale)
        report = write_report([Folder.parse(text) for text in self.folders], self.out, plan)
        if self.markdown:
            print(report.markdown, end="")  # noqa: T201
        else:
            report.show()
