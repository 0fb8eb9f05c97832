"""A planner's metrics in the terminal: distances, refusals and the calibration of its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from hamster.terminal import show_table

ERRORS = ("start", "end", "frechet", "event_f1")
TRACES = {
    "protocol_a": "A: 0-1, 100 points by arc length",
    "protocol_b": "B: 0-999, by index, paths only",
    "worst_case": "A, no path = worst case",
}


def show_paths(sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the distances to the labels by source and family, and a line about refusals and calibration."""
    console = Console()
    title = "Distance to the label, relative to the image: medians; F1 of gripper events: mean; [dim]95 % intervals[/]"
    rows = []
    for source, metrics in sources.items():
        for family, row in metrics["paths"].items():
            first = f"[bold]{escape(_short(source))}[/]" if family == "all" else f"  {family.replace('_', ' ')}"
            errors = (_error(row, name) for name in ERRORS)
            rows.append([first, str(row["n"]), f"{row['parse_rate']:.0%}", *errors])
    show_table(("paths", "n", "read", "start", "end", "Fréchet", "events F1"), rows, title, console)
    for source, metrics in sources.items():
        if metrics["rows"]:
            rows = [[name, str(row["n"]), format_share(row)] for name, row in metrics["rows"].items()]
            show_table((_short(source), "n", "right"), rows, "Correct paths by the way of reference", console)
    _show_traces(sources, console)
    for source, metrics in sources.items():
        console.print(f"{_short(source)}: {'; '.join(_summary(metrics))}", soft_wrap=True, highlight=False)
        if unreadable := metrics["unreadable"]:
            first = f"{unreadable[0]['file']}: {unreadable[0]['reason']}"
            text = f"{_short(source)}: {len(unreadable)} unreadable and left out, the first {first}"
            console.print(text, soft_wrap=True, highlight=False, markup=False)


def _show_traces(sources: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    rows = []
    for source, metrics in sources.items():
        for section, name in TRACES.items():
            row = metrics["trace"][section]
            decimals = 1 if section == "protocol_b" else 3
            values = (_mean(row.get(metric), decimals) for metric in ("rmse", "mae", "dfd", "hd"))
            rows.append([f"[bold]{escape(_short(source))}[/]", name, str(row["n"]), *values])
    title = "Trace metrics, lower is better: means; [dim]95 % intervals over images[/]"
    show_table(("paths", "protocol", "n", "RMSE", "MAE", "DFD", "HD"), rows, title, console, n_left=2)
    for source, metrics in sources.items():
        traces = metrics["trace"]
        ade, fde = (_mean(traces["displacement"].get(name), 3) for name in ("ade", "fde"))
        text = f"{_short(source)}: {traces['n_path']} of {traces['n']} answers hold a path"
        console.print(text + (f"; ADE {ade}, FDE {fde}" if ade else ""), soft_wrap=True, highlight=False)


def _mean(value: Mapping[str, Any] | None, decimals: int) -> str:
    if value is None:
        return ""
    low, high = value["ci95"]
    return f"{value['mean']:.{decimals}f} [dim]{low:.{decimals}f}-{high:.{decimals}f}[/]"


def format_share(share: Mapping[str, Any]) -> str:
    """Format a share as "17 of 20 (85 %, 64-95 %)"."""
    low, high = share["ci95"]
    return f"{share['k']} of {share['n']} ({share['share']:.0%}, {low:.0%}-{high:.0%})"


def _summary(metrics: Mapping[str, Any]) -> list[str]:
    parts = [f"right {format_share(metrics['right'])}"]
    refused = metrics["refused"]
    if refused["absent"]["n"]:
        parts.append(f"absent, refused: {format_share(refused['absent'])}")
    if refused["absent"]["n"] or refused["in_view"]["k"]:
        parts.append(f"in view, falsely refused: {format_share(refused['in_view'])}")
    if metrics["calibration"]["n"]:
        parts.append(f"expected calibration error (ECE) {metrics['calibration']['ece']:.3f}")
    return parts


def _error(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return ""
    low, high = row["ci95"][name]
    return f"{row[name]:.3f} [dim]{low:.3f}-{high:.3f}[/]"


def _short(source: str) -> str:
    return source if len(source) <= 30 else f"…{source[-29:]}"
