"""An evaluation in the terminal: a progress bar, then the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from hamster.evaluate.journal import Record
from hamster.evaluate.report_parts import format_rate
from hamster.evaluate.trials import short_name
from hamster.rollout.result import UNMEASURED
from hamster.terminal import counting, show_table

BAR = 10


def with_progress(records: Iterable[Record], n_done: int, n_all: int) -> Iterator[Record]:
    """Pass records through and show the progress by condition.

    Args:
        records: as they finish.
        n_done: number of records that were finished before.
        n_all: total number; 0 if unknown.
    """
    tally: dict[str, list[int]] = {}
    n_unmeasured = 0
    with counting("loading", n_all, n_done) as update:
        for number, record in enumerate(records, n_done + 1):
            yield record
            won, n = tally.setdefault(record["condition"], [0, 0])
            if record.get("outcome") in UNMEASURED:
                n_unmeasured += 1
            else:
                tally[record["condition"]] = [won + bool(record["success"]), n + 1]
            text = "  ".join(f"{short_name(condition)} {won}/{n}" for condition, (won, n) in sorted(tally.items()))
            update(number, text + (f"  not measured {n_unmeasured}" if n_unmeasured else ""))


def show_summary(info: Mapping[str, Any], to_look_at: Path) -> None:
    """Print the table of conditions, and the file to look at."""
    console = Console()
    families = sorted({family for condition in info["conditions"].values() for family in condition["per_task"]})
    names = ("path", "success", "", "", "95 %", *(family.replace("_", " ") for family in families))
    rows = [_row(name, condition, families) for name, condition in info["conditions"].items()]
    show_table(names, rows, "Success by path, with 95 % Wilson intervals", console)
    for name, condition in info["conditions"].items():
        if "scenes" in condition:
            console.print(
                f"all tasks of a scene done, {short_name(name)}: {format_rate(condition['scenes'])}", soft_wrap=True
            )
    meta = info["meta"]
    latency = _latency(info["conditions"].values())
    took = f"{meta['wall_s']:.0f} s, {meta['workers']} processes, seed {meta['seed']}{latency}"
    console.print(took, style="dim", soft_wrap=True)
    console.print(f"look at {to_look_at}", soft_wrap=True)


def _row(name: str, condition: dict[str, Any], families: list[str]) -> list[str]:
    low, high = condition["pc_success_ci95"]
    filled = round(condition["pc_success"] / 100 * BAR)
    return [
        escape(short_name(name)),
        f"{condition['n_success']}/{condition['n_episodes']}",
        f"{condition['pc_success']:.0f} %",
        "█" * filled + "░" * (BAR - filled),
        f"{low:.0f}-{high:.0f} %",
        *(_family(condition["per_task"].get(family)) for family in families),
    ]


def _family(rate: dict[str, Any] | None) -> str:
    return f"{rate['n_success']}/{rate['n_episodes']}" if rate else ""


def _latency(conditions: Iterable[dict[str, Any]]) -> str:
    """Return the largest median latencies of all conditions: those of the models, not of the baselines."""
    listed, text = list(conditions), ""
    for who in ("planner", "policy"):
        medians = [condition["latency_ms"][who]["p50"] for condition in listed if condition["latency_ms"][who]]
        text += f", {who} {max(medians):.0f} ms" if medians else ""
    return text
