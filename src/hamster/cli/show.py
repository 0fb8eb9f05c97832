"""What a person sees of an evaluation in the terminal: a progress bar, then the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hamster.evaluate.journal import Record
from hamster.evaluate.report_parts import in_words
from hamster.evaluate.trials import short_name
from hamster.rollout.record import UNMEASURED

BAR = 10


def with_progress(records: Iterable[Record], n_done: int, n_all: int) -> Iterator[Record]:
    """Passes the records through and shows how far they have come, arm by arm."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tally: dict[str, list[int]] = {}
    n_unmeasured = 0
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("loading", total=n_all, completed=n_done)
        for record in records:
            yield record
            won, n = tally.setdefault(record["arm"], [0, 0])
            if record.get("outcome") == UNMEASURED:
                n_unmeasured += 1
            else:
                tally[record["arm"]] = [won + bool(record["success"]), n + 1]
            text = "  ".join(f"{short_name(arm)} {won}/{n}" for arm, (won, n) in sorted(tally.items()))
            text += f"  not measured {n_unmeasured}" if n_unmeasured else ""
            bar.update(task, advance=1, description=text)


def show_summary(info: dict[str, Any], to_look_at: Path) -> None:
    """Prints the table of arms, and where there is something to look at."""
    console = Console()
    families = sorted({family for arm in info["arms"].values() for family in arm["per_task"]})
    table = Table(
        title="Success by path, with 95 % Wilson intervals", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in ("path", "success", "", "", "95 %", *families):
        table.add_column(name.replace("_", " "), justify="left" if name == "path" else "right", no_wrap=True)
    for name, arm in info["arms"].items():
        table.add_row(*_row(name, arm, families))
    console.print(table)
    for name, arm in info["arms"].items():
        if "scenes" in arm:
            console.print(f"all tasks of a scene done, {short_name(name)}: {in_words(arm['scenes'])}")
    meta = info["meta"]
    latency = _latency(info["arms"].values())
    console.print(f"{meta['wall_s']:.0f} s, {meta['workers']} processes, seed {meta['seed']}{latency}", style="dim")
    console.print(f"look at {to_look_at}", soft_wrap=True)


def _row(name: str, arm: dict[str, Any], families: list[str]) -> list[str]:
    low, high = arm["pc_success_ci95"]
    filled = round(arm["pc_success"] / 100 * BAR)
    return [
        short_name(name),
        f"{arm['n_success']}/{arm['n_episodes']}",
        f"{arm['pc_success']:.0f} %",
        "█" * filled + "░" * (BAR - filled),
        f"{low:.0f}-{high:.0f} %",
        *(_family(arm["per_task"].get(family)) for family in families),
    ]


def _family(rate: dict[str, Any] | None) -> str:
    return f"{rate['n_success']}/{rate['n_episodes']}" if rate else ""


def _latency(arms: Iterable[dict[str, Any]]) -> str:
    """The slowest arm's medians: those of the models, not of the controls."""
    listed, text = list(arms), ""
    for who in ("planner", "policy"):
        medians = [arm["latency_ms"][who]["p50"] for arm in listed if arm["latency_ms"][who]]
        text += f", {who} {max(medians):.0f} ms" if medians else ""
    return text
