"""A labelling run as somebody sits before it: a progress bar, a label set, and a page to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hamster.label.dataset import Item, read_annotated, read_episodes, read_manifest, write
from hamster.label.sheet import contact_sheet
from hamster.path.draw import draw
from hamster.path.simplify import EPSILON

SHEET_PICTURES = 24


def label(
    items: Iterable[Item] | Callable[[int], Iterable[Item]],
    out: Path,
    *,
    source: str,
    seed: int | None = None,
    camera: str | None = None,
    epsilon: float = EPSILON,
    total: int | None = None,
) -> dict[str, Any]:
    """Labels everything in `items` and returns the manifest; arguments as in `write`.

    Writes the label set and `paths.png`, a page of its first 24 drawn paths. Progress goes to standard error, also what
    had to be left out and why. `total` is the number of items, for the progress bar, where it is known.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task(f"labelling {source}", total=total)
        manifest = write(
            items,
            out,
            source=source,
            seed=seed,
            camera=camera,
            epsilon=epsilon,
            on_item=lambda done: progress.update(bar, completed=done),
        )
    for problem in manifest["unreadable"]:
        console.print(f"left out {problem['file']}: {problem['reason']}", style="yellow", markup=False, soft_wrap=True)
    write_sheet(out)
    return manifest


def write_sheet(folder: Path) -> Path:
    """Draws the first paths of a label set and returns the file, `paths.png` in its folder."""
    if read_manifest(folder)["kind"] == "episodes":
        firsts = ((e.episode.observations[0].views[e.camera].rgb, e.labels[0].path, e.episode.instructions[0])
                  for e in read_episodes(folder))  # fmt: skip
    else:
        firsts = ((image.view.rgb, a.path, a.instruction) for image in read_annotated(folder)
                  for a in image.annotations[:1])  # fmt: skip
    pictures = [(draw(rgb, path), text) for rgb, path, text in islice(firsts, SHEET_PICTURES)]
    Image.fromarray(contact_sheet(pictures)).save(folder / "paths.png")
    return folder / "paths.png"
