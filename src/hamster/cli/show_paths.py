"""What a person sees of a planner's paths: distances, refusals, and what the scores are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from hamster.terminal import show_table

ERRORS = ("start", "end", "frechet", "event_f1")


def show_paths(sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints how far paths are from their labels, by source and family, and a line about refusals and scores."""
    console = Console()
    title = "Distance to the label, relative to the image: medians; F1 of gripper events: mean; [dim]95 % intervals[/]"
    rows = []
    for source, found in sources.items():
        for family, row in found["paths"].items():
            first = f"[bold]{escape(_short(source))}[/]" if family == "all" else f"  {family.replace('_', ' ')}"
            errors = (_error(row, name) for name in ERRORS)
            rows.append([first, str(row["n"]), f"{row['parse_rate']:.0%}", *errors])
    show_table(("paths", "n", "read", "start", "end", "Fréchet", "events F1"), rows, title, console)
    for source, found in sources.items():
        if found["rows"]:
            rows = [[name, str(row["n"]), in_words(row)] for name, row in found["rows"].items()]
            show_table((_short(source), "n", "right"), rows, "Right paths by how the thing is told", console)
    for source, found in sources.items():
        console.print(f"{_short(source)}: {'; '.join(_about(found))}", soft_wrap=True, highlight=False)


def in_words(share: Mapping[str, Any]) -> str:
    """17 of 20 (85 %, 64-95 %)."""
    low, high = share["ci95"]
    return f"{share['k']} of {share['n']} ({share['share']:.0%}, {low:.0%}-{high:.0%})"


def _about(found: Mapping[str, Any]) -> list[str]:
    said = [f"right {in_words(found['right'])}"]
    refused = found["refused"]
    if refused["absent"]["n"]:
        said.append(f"absent, refused: {in_words(refused['absent'])}")
    if refused["absent"]["n"] or refused["in_view"]["k"]:
        said.append(f"in view, falsely refused: {in_words(refused['in_view'])}")
    if found["calibration"]["n"]:
        said.append(f"calibration error of the scores {found['calibration']['ece']:.3f}")
    return said


def _error(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return ""
    low, high = row["ci95"][name]
    return f"{row[name]:.3f} [dim]{low:.3f}-{high:.3f}[/]"


def _short(source: str) -> str:
    return source if len(source) <= 30 else f"…{source[-29:]}"
