"""The work of `hamster data show`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from hamster.cli.data_page import DataPage
from hamster.data.registry import open_source
from hamster.files import replacing, write_atomic
from hamster.label.dataset import read_manifest
from hamster.label.dataset_stats import Found, Survey, labelled_items, stored_items, survey
from hamster.label.episodes import REASONS
from hamster.label.label_item import Options
from hamster.provenance import run_info
from hamster.terminal import show_next, show_properties

T = TypeVar("T")


def show_data(source: str, out: Path, most: int | None, seed: int, rerun: bool) -> None:
    """Write show.json and the page show.html with its images, and print the table.

    Args:
        source: URI of a source, or the folder of a label set.
        out: result folder.
        most: only the first so many items.
        seed: of generated sources.
        rerun: also write show.rrd.
    """
    items, total = _items(source, most, seed)
    watched = track(items, f"reading {source}", total, console=Console(stderr=True))
    out.mkdir(parents=True, exist_ok=True)
    if rerun:
        from hamster.label.rerun_log import recorded

        watched = recorded(watched, out / "show.rrd")
    with replacing(out / "show.html") as file, file.open("x", encoding="utf-8") as stream:
        page = DataPage(stream, out, source)
        counted = survey(page.written(watched))
        facts = _facts(counted)
        page.finish([(name, text) for name, text, _ in facts], counted)
    record = {"source": source, **counted.to_json(), "run": run_info(seed)}
    write_atomic(out / "show.json", json.dumps(record, indent=1) + "\n")
    rows = ((name, escape(text), "[yellow]{}[/]" if is_warning else "{}") for name, text, is_warning in facts)
    show_properties([(name, style.format(text)) for name, text, style in rows])
    Console().print(f"look at {out / 'show.html'}", soft_wrap=True)
    if Path(source).is_dir():
        show_next(f"hamster train planner --data {source}", f"hamster train policy --data {source}")
    else:
        show_next(f"hamster label {source} -o outputs/labels/NAME")


def _items(source: str, most: int | None, seed: int) -> tuple[Iterable[Found], int | None]:
    if (folder := Path(source)).is_dir():
        total = read_manifest(folder)["counts"]["items"]
        return _first(stored_items(folder), most), min(total, most or total)
    opened = open_source(source, seed)
    return labelled_items(opened, Options(), most), min(len(opened), most or len(opened))


def _first(items: Iterator[T], most: int | None) -> Iterator[T]:
    for number, item in enumerate(items):
        if number == most:
            return
        yield item


def _facts(counted: Survey) -> list[tuple[str, str, bool]]:
    """Return what was counted as (name, text, whether it is a warning); the name is "" for more of the same."""
    counts: dict[str, Any] = counted.to_json()
    rows: list[tuple[str, str, bool]] = []
    left_out = f"{counts['abstained']} abstained, {counts['failed']} failed"
    rows.append(("items", f"{counts['items']}: {counts['labelled']} labelled, {left_out}", False))
    for reason, number in list(counts["reasons"].items())[:8]:
        rows.append(("", f"{number} x {reason}", True))
    frames = counts["frames"]
    if frames["total"]:
        span = f"{frames['shortest']} to {frames['longest']} frames, median {frames['median']:.0f}"
        rows.append(("episodes", f"{span}, {frames['total']} in all", False))
    for reason, number in counts["frames_left_out"].items():
        rows.append(("", f"{number} frames left out {REASONS.get(reason, reason)}", True))
    for note, number in list(counts["notes"].items())[:8]:
        rows.append(("", f"{number} x {note}", False))
    for camera, number in counts["cameras"].items():
        rows.append(("camera", f"{number} x {camera}", False))
    for name in ("methods", "tasks", "waypoints", "gripper_events"):
        listing = ", ".join(f"{key or '(none)'} {number}" for key, number in list(counts[name].items())[:10])
        if listing:
            rows.append((name.replace("_", " "), listing, False))
    if counts["waypoints"]:  # conversations have no paths
        absent = f", {counts['absent']} about absent objects" if counts["absent"] else ""
        rows.append(("instructions", f"{counts['instructions']} different{absent}", False))
        cover = counts["coverage"]
        cells = f"paths start in {cover['starts']:.0%} and end in {cover['ends']:.0%} of 10 x 10 cells"
        rows.append(("coverage", cells, False))
    return rows
