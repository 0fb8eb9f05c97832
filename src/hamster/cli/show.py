"""What a person sees of an evaluation in the terminal: a progress bar, then the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from hamster.evaluate.journal import Record
from hamster.evaluate.report_parts import in_words
from hamster.evaluate.trials import short_name
from hamster.rollout.result import UNMEASURED
from hamster.terminal import counting, show_table

BAR = 10


def with_progress(records: Iterable[Record], n_done: int, n_all: int) -> Iterator[Record]:
    """Passes the records through and shows how far they have come, arm by arm; n_all is 0 where nobody knows."""
    tally: dict[str, list[int]] = {}
    n_unmeasured = 0
    with counting("loading", n_all, n_done) as tell:
        for number, record in enumerate(records, n_done + 1):
            yield record
            won, n = tally.setdefault(record["arm"], [0, 0])
            if record.get("outcome") in UNMEASURED:
                n_unmeasured += 1
            else:
                tally[record["arm"]] = [won + bool(record["success"]), n + 1]
            text = "  ".join(f"{short_name(arm)} {won}/{n}" for arm, (won, n) in sorted(tally.items()))
            tell(number, text + (f"  not measured {n_unmeasured}" if n_unmeasured else ""))


def show_summary(info: dict[str, Any], to_look_at: Path) -> None:
    """Prints the table of arms, and where there is something to look at."""
    console = Console()
    families = sorted({family for arm in info["arms"].values() for family in arm["per_task"]})
    names = ("path", "success", "", "", "95 %", *(family.replace("_", " ") for family in families))
    rows = [_row(name, arm, families) for name, arm in info["arms"].items()]
    show_table(names, rows, "Success by path, with 95 % Wilson intervals", console)
    for name, arm in info["arms"].items():
        if "scenes" in arm:
            console.print(f"all tasks of a scene done, {short_name(name)}: {in_words(arm['scenes'])}", soft_wrap=True)
    meta = info["meta"]
    latency = _latency(info["arms"].values())
    took = f"{meta['wall_s']:.0f} s, {meta['workers']} processes, seed {meta['seed']}{latency}"
    console.print(took, style="dim", soft_wrap=True)
    console.print(f"look at {to_look_at}", soft_wrap=True)


def _row(name: str, arm: dict[str, Any], families: list[str]) -> list[str]:
    low, high = arm["pc_success_ci95"]
    filled = round(arm["pc_success"] / 100 * BAR)
    return [
        escape(short_name(name)),
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
