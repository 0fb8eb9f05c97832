"""Measure a planner alone: do its paths start at the right object and end at the right goal?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as File
from typing import Any

from PIL import Image

from hamster.data import AnnotatedImage
from hamster.evaluate.journal import Record
from hamster.evaluate.paths_asked import Answers, ask_all
from hamster.evaluate.paths_reliability import diagram
from hamster.evaluate.paths_summary import by_family, of_source
from hamster.evaluate.summary import summarize
from hamster.files import write_atomic
from hamster.label.sheet import contact_sheet
from hamster.planner import Planner
from hamster.provenance import run_info

SHOWN = 12  # of the best, of those in the middle, and of the worst
Progress = Callable[[Iterable[Record], int, int], Iterable[Record]]


def evaluate_paths(
    sources: Mapping[str, Iterable[AnnotatedImage]],
    planner: Planner,
    name: str,
    out: File,
    n: int | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Asks the planner for one path on each of n images of each source (None: of all); `grounding` is the judge.

    Where an image comes with instructions that nobody can carry out, one of them is asked, too.

    Writes eval_info.json (the planner is the arm, a "success" is a path that is right at both ends), paths.jsonl with
    every answer, paths.png with the best, the median and the worst, and reliability.png.

    Args:
        sources: by name; images without an annotation are passed over, and without segmentation only nearness to the
            label counts.
        name: of the planner, in the table.
        seed: decides which of an image's instructions is asked.

    Returns:
        The content of eval_info.json.

    Raises:
        ValueError: if a source has fewer than n images.
    """
    start, answers = time.perf_counter(), Answers()
    for source, images in sources.items():
        for _ in progress(ask_all(images, planner, name, source, n, seed, answers), 0, n or 0):
            pass
        if (found := len(answers.of(source))) < (n or 1):
            raise ValueError(f"the source {source} has {found} images with an instruction, {n or 1} were asked for")
    meta = {**run_info(seed), "wall_s": round(time.perf_counter() - start, 1), "workers": 1}
    summary = {
        **summarize(answers.in_view, [name], meta),
        "paths": by_family(answers.in_view),
        "sources": {source: of_source(answers.of(source), answers.of(source, absent=True)) for source in sources},
    }
    _write(summary, answers, out)
    return summary


def _write(summary: Mapping[str, Any], answers: Answers, out: File) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "eval_info.json", json.dumps(summary, indent=2) + "\n")
    lines = (json.dumps(record) + "\n" for record in (*answers.in_view, *answers.absent))
    write_atomic(out / "paths.jsonl", "".join(lines))
    Image.fromarray(contact_sheet(answers.best_median_worst(SHOWN))).save(out / "paths.png")
    found = {name: source["calibration"] for name, source in summary["sources"].items() if source["calibration"]["n"]}
    if found:
        Image.fromarray(diagram(found)).save(out / "reliability.png")
