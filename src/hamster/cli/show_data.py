"""The work of `hamster data show`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from hamster.data.registry import open_source
from hamster.label.contact_sheet import contact_sheet
from hamster.label.dataset import read_manifest
from hamster.label.dataset_stats import Found, Survey, labelled_items, stored_items, survey
from hamster.label.episodes import REASONS
from hamster.label.label_item import Options
from hamster.provenance import run_info
from hamster.terminal import show_next, show_properties

T = TypeVar("T")
CELL_PX = 20


def show_data(source: str, out: Path, most: int | None, seed: int, rerun: bool) -> None:
    """Write show.json and show.png, and print the table.

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
    counted = survey(watched)
    record = {"source": source, **counted.to_json(), "run": run_info(seed)}
    (out / "show.json").write_text(json.dumps(record, indent=1) + "\n")
    maps = [(_map(counted.starts), "where paths start"), (_map(counted.ends), "where paths end")]
    Image.fromarray(contact_sheet([*maps, *counted.pictures])).save(out / "show.png")
    _print(counted, Console())
    Console().print(f"look at {out / 'show.png'}", soft_wrap=True)
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


def _map(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw counts (N, N) as an image: the more, the darker."""
    share = np.sqrt(counts / max(int(counts.max()), 1))
    shade = (255 * (1 - 0.85 * share)).astype(np.uint8)
    rgb = np.stack([shade, shade, np.full_like(shade, 255)], -1)
    return np.kron(rgb, np.ones((CELL_PX, CELL_PX, 1), np.uint8))


def _print(counted: Survey, console: Console) -> None:
    counts: dict[str, Any] = counted.to_json()
    rows: list[tuple[str, str]] = []
    left_out = f"{counts['abstained']} abstained, {counts['failed']} failed"
    rows.append(("items", f"{counts['items']}: {counts['labelled']} labelled, {left_out}"))
    for reason, number in list(counts["reasons"].items())[:8]:
        rows.append(("", f"[yellow]{number} x[/] {escape(reason)}"))
    frames = counts["frames"]
    if frames["total"]:
        span = f"{frames['shortest']} to {frames['longest']} frames, median {frames['median']:.0f}"
        rows.append(("episodes", f"{span}, {frames['total']} in all"))
    for reason, number in counts["frames_left_out"].items():
        rows.append(("", f"[yellow]{number} frames left out {escape(REASONS.get(reason, reason))}[/]"))
    for note, number in list(counts["notes"].items())[:8]:
        rows.append(("", f"{number} x {escape(note)}"))
    for camera, number in counts["cameras"].items():
        rows.append(("camera", f"{number} x {escape(camera)}"))
    for name in ("methods", "tasks", "waypoints", "gripper_events"):
        listing = ", ".join(f"{key or '(none)'} {number}" for key, number in list(counts[name].items())[:10])
        if listing:
            rows.append((name.replace("_", " "), escape(listing)))
    if counts["waypoints"]:  # conversations have no paths
        absent = f", {counts['absent']} about absent objects" if counts["absent"] else ""
        rows.append(("instructions", f"{counts['instructions']} different{absent}"))
        cover = counts["coverage"]
        cells = f"paths start in {cover['starts']:.0%} and end in {cover['ends']:.0%} of 10 x 10 cells"
        rows.append(("coverage", cells))
    show_properties(rows, console)
