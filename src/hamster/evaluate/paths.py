"""Measure a planner alone: do its paths start at the right object and end at the right goal?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Annotation
from hamster.evaluate.journal import Record, write_atomically
from hamster.evaluate.summary import summarize
from hamster.label.sheet import contact_sheet
from hamster.path import Path, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import medians, path_errors
from hamster.planner import Planner
from hamster.planner.grounding import grounding
from hamster.provenance import run_info

SHOWN = 36
DRAWN_PX = 384
Picture = tuple[NDArray[np.uint8], str]
Progress = Callable[[Iterable[Record], int, int], Iterable[Record]]


def evaluate_paths(
    images: Iterable[AnnotatedImage],
    planner: Planner,
    name: str,
    out: File,
    n: int | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Asks the planner for one path on each of n images (None: of all) and judges it by the rule of `grounding`.

    Writes eval_info.json (the planner is the arm, a "success" is a path that is right at both ends), paths.jsonl with
    every answer, and paths.png, the first answers drawn.

    Args:
        images: those without an annotation are passed over; without segmentation only nearness to the label counts.
        name: of the planner, in the table.
        seed: decides which of an image's instructions is asked.

    Returns:
        The content of eval_info.json.

    Raises:
        ValueError: if there are fewer than n images.
    """
    start, pictures = time.perf_counter(), list[Picture]()
    found = list(progress(_judge_all(images, planner, name, n, seed, pictures), 0, n or 0))
    if len(found) < (n or 1):
        raise ValueError(f"the source has {len(found)} images with an instruction, {n or 1} were asked for")
    meta = {**run_info(seed), "wall_s": round(time.perf_counter() - start, 1), "workers": 1}
    summary = {**summarize(found, [name], meta), "paths": _by_family(found)}
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "eval_info.json", json.dumps(summary, indent=2) + "\n")
    write_atomically(out / "paths.jsonl", "".join(json.dumps(record) + "\n" for record in found))
    Image.fromarray(contact_sheet(pictures)).save(out / "paths.png")
    return summary


def _judge_all(
    images: Iterable[AnnotatedImage], planner: Planner, name: str, n: int | None, seed: int, pictures: list[Picture]
) -> Iterator[Record]:
    rng, done = np.random.default_rng(seed), 0
    for image in images:
        if done == n:
            break
        if not image.annotations:
            continue
        annotation = image.annotations[int(rng.integers(len(image.annotations)))]
        record, path = _judge(image, annotation, planner)
        if done < SHOWN:
            pictures.append(_picture(image, annotation, path, record))
        yield {"arm": name, "scene": done, "family": annotation.task or "path", "policy_s": [], **record}
        done += 1


def _judge(image: AnnotatedImage, annotation: Annotation, planner: Planner) -> tuple[Record, Path | None]:
    start = time.perf_counter()
    try:
        path = planner.plan(image.view.rgb, annotation.instruction).path
    except PlanError as error:
        answer: dict[str, Any] = {"success": False, "outcome": "plan_error", "reason": error.reason}
        return {**answer, "instruction": annotation.instruction, "planner_s": [time.perf_counter() - start]}, None
    seconds = time.perf_counter() - start
    masks = (_mask(image, annotation.target), _mask(image, annotation.goal))
    marks = grounding(path, annotation.path, *masks, annotation.task)
    outcome = {(True, True): "right", (True, False): "wrong end", (False, True): "wrong start"}.get(
        (marks["start"], marks["end"]), "both wrong"
    )
    record = {
        "success": marks["path"],
        "outcome": outcome,
        "path": path.to_json(),
        "errors": path_errors(path, annotation.path),
    }
    return {**record, "instruction": annotation.instruction, "planner_s": [seconds]}, path


def _by_family(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Medians of the errors (of the F1 the mean) by family and of all, with how many paths could be read."""
    families = {"all": list(records)}
    for record in records:
        families.setdefault(record["family"], []).append(record)
    return {name: medians([r.get("errors") for r in some]) for name, some in families.items()}


def _mask(image: AnnotatedImage, thing: int | None) -> NDArray[np.bool_] | None:
    return None if thing is None or image.segmentation is None else image.segmentation == thing


def _picture(image: AnnotatedImage, annotation: Annotation, path: Path | None, record: Record) -> Picture:
    rgb = np.asarray(Image.fromarray(image.view.rgb).resize((DRAWN_PX, DRAWN_PX), Image.Resampling.BICUBIC))
    return rgb if path is None else draw(rgb, path), f"[{record['outcome']}] {annotation.instruction}"
