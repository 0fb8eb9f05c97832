"""An interactive labelling run: a progress bar, a label set, and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hamster.data import Source
from hamster.files import lock_folder
from hamster.label.contact_sheet import contact_sheet
from hamster.label.dataset import kinds_of, left_out, notes, read_annotated, read_episodes, write
from hamster.label.episodes import REASONS
from hamster.label.label_item import printable
from hamster.path.draw import draw

SHEET_PICTURES = 24
LINES = 20  # of what was left out; the journal has them all


def label(sources: Sequence[Source], out: Path, **options: Any) -> dict[str, Any]:
    """Label everything in the sources and return the manifest; arguments as in `write`.

    Print first what a source lacks to project its episodes. Write the label set and `paths.png`, a contact sheet of its
    first 24 paths. Report progress and the items that were left out, with reasons, on standard error. The folder is
    locked meanwhile.
    """
    with lock_folder(out):
        return _label(sources, out, **options)


def _label(sources: Sequence[Source], out: Path, **options: Any) -> dict[str, Any]:
    console = Console(stderr=True)
    for advice in dict.fromkeys(filter(None, (getattr(source, "advice", "") for source in sources))):
        console.print(advice, style="yellow", markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        names = printable(", ".join(source.uri for source in sources))
        bar = progress.add_task(f"labelling {names}", total=sum(len(source) for source in sources))
        manifest = write(
            sources,
            out,
            on_items=lambda done: progress.update(bar, completed=done),
            on_notice=lambda line: console.print(line, style="yellow", markup=False, soft_wrap=True),
            **options,
        )
    _report(out, manifest["counts"], console)
    write_sheet(out)
    return manifest


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a run that scripts need; `episodes` are the input items of any kind."""
    counts = manifest["counts"]
    names = {"episodes": "items", "labelled": "labelled", "abstained": "abstained", "failed": "failed"}
    return {**{name: counts[key] for name, key in names.items()}, "paths": counts.get("paths", 0),
            "digest": manifest["digest"]}  # fmt: skip


def write_sheet(folder: Path) -> None:
    """Draw the first paths of a label set into `paths.png` in its folder; nothing where it has no pictures."""
    pictures = [(draw(rgb, path), text) for rgb, path, text in islice(_firsts(folder), SHEET_PICTURES)]
    if pictures:
        Image.fromarray(contact_sheet(pictures)).save(folder / "paths.png")


def _firsts(folder: Path) -> Iterator[tuple[NDArray[np.uint8], Any, str]]:
    kinds = kinds_of(folder)
    if "episodes" in kinds:
        for e in read_episodes(folder):
            text, first = e.first
            yield e.episode.observations[0].views[e.camera].rgb, first.path, text
    if "annotated" in kinds:
        for image in read_annotated(folder):
            for annotation in image.annotations[:1]:
                yield image.view.rgb, annotation.path, annotation.instruction


def _report(folder: Path, counts: Mapping[str, int], console: Console) -> None:
    for record in islice(left_out(folder), LINES):
        line = f"{record['how']}: {record['file']}: {record['reason']}"
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    if (more := counts["abstained"] + counts["failed"] - LINES) > 0:
        console.print(f"… and {more} more: see left_out in journal.jsonl", style="yellow")
    if counts["failed"]:
        hint = (
            "the same command leaves them out again, unless their files have changed; --retry-failed tries them again"
        )
        console.print(f"{counts['failed']} item(s) failed: {hint}", style="yellow", soft_wrap=True)
    for reason, words in REASONS.items():
        if frames := counts.get(f"frames_{reason}", 0):
            line = f"left out: {frames} frames {words}"
            console.print(line, style="yellow", markup=False, soft_wrap=True)
    for note, number in notes(folder).most_common(LINES):
        console.print(f"{number} episode{'s' * (number > 1)}: {note}", markup=False, soft_wrap=True)
