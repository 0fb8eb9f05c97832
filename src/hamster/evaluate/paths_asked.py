"""Asking a planner about images whose right answers are known, one record an answer."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Annotation
from hamster.evaluate.journal import Record
from hamster.path import NotInViewError, Path, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import path_errors
from hamster.planner import Planner
from hamster.planner.grounding import grounding

ABSENT = "absent"
DRAWN_PX = 384
Picture = tuple[NDArray[np.uint8], str]


@dataclass
class Answers:
    """All records so far, and a small picture of each path.

    Attributes:
        in_view: to instructions with a label. absent: to those that nobody can carry out; a refusal is a success.
        drawn: JPEG files, one for each record of `in_view`.
    """

    in_view: list[Record] = field(default_factory=list)
    absent: list[Record] = field(default_factory=list)
    drawn: list[bytes] = field(default_factory=list)

    def of(self, source: str, absent: bool = False) -> list[Record]:
        """The records of one source."""
        return [record for record in (self.absent if absent else self.in_view) if record["source"] == source]

    def best_median_worst(self, each: int) -> list[Picture]:
        """Pictures of the nearest paths, of those in the middle and of the farthest (no path is farther than any)."""
        order = sorted(range(len(self.in_view)), key=lambda i: self._distance(self.in_view[i]))
        middle = max(0, (len(order) - each) // 2)
        chosen = (order[:each], order[middle : middle + each], order[-each:])
        if len(order) <= 3 * each:
            return [self._picture(i, "") for i in order]
        return [
            self._picture(i, what) for what, part in zip(("best", "median", "worst"), chosen, strict=True) for i in part
        ]

    @staticmethod
    def _distance(record: Record) -> float:
        return float(record["errors"]["frechet"]) if "errors" in record else float("inf")

    def _picture(self, i: int, what: str) -> Picture:
        record = self.in_view[i]
        caption = f"{what} [{record['outcome']}] {record['instruction']}".strip()
        return np.asarray(Image.open(io.BytesIO(self.drawn[i]))), caption


def questions(
    images: Iterable[AnnotatedImage], n: int | None, seed: int
) -> Iterator[tuple[AnnotatedImage, Annotation, str | None]]:
    """Of the first n images (None: all) with a label one instruction each, and one in vain where there are such."""
    rng, done = np.random.default_rng(seed), 0
    vain = np.random.default_rng((seed, 1))  # of its own: which labels are asked for does not depend on it
    for image in images:
        if done == n:
            break
        if not image.annotations:
            continue
        annotation = image.annotations[int(rng.integers(len(image.annotations)))]
        absent = image.absent[int(vain.integers(len(image.absent)))] if image.absent else None
        yield image, annotation, absent
        done += 1


def ask_all(
    images: Iterable[AnnotatedImage], planner: Planner, name: str, source: str, n: int | None, seed: int, into: Answers
) -> Iterator[Record]:
    """Asks all `questions`, collects the answers, and yields those that have a label."""
    for scene, (image, annotation, absent) in enumerate(questions(images, n, seed)):
        about = {"arm": name, "source": source, "scene": scene, "policy_s": []}
        record, path = judge(image, annotation, planner)
        into.in_view.append({**about, "family": annotation.task or "path", **record})
        into.drawn.append(_drawn(image.view.rgb, path))
        if absent is not None:
            into.absent.append({**about, "family": ABSENT, **_in_vain(image.view.rgb, absent, planner)})
        yield into.in_view[-1]


def judge(image: AnnotatedImage, annotation: Annotation, planner: Planner) -> tuple[Record, Path | None]:
    """A planner's answer to one instruction, and what it is worth by the rule of `grounding`."""
    path, record = _asked(image.view.rgb, annotation.instruction, planner)
    if path is None:
        return {"success": False, **record}, None
    masks = (_mask(image, annotation.target), _mask(image, annotation.goal))
    marks = grounding(path, annotation.path, *masks, annotation.task)
    outcome = {(True, True): "right", (True, False): "wrong end", (False, True): "wrong start"}.get(
        (marks["start"], marks["end"]), "both wrong"
    )
    errors = path_errors(path, annotation.path)
    return {**record, "success": marks["path"], "outcome": outcome, "errors": errors}, path


def _in_vain(rgb: NDArray[np.uint8], instruction: str, planner: Planner) -> Record:
    _, record = _asked(rgb, instruction, planner)
    return {"outcome": "drawn", **record, "success": record.get("outcome") == "not_in_view"}


def _asked(rgb: NDArray[np.uint8], instruction: str, planner: Planner) -> tuple[Path | None, Record]:
    start = time.perf_counter()
    path, answer = None, dict[str, Any]()
    try:
        path = planner.plan(rgb, instruction).path
        answer = {"path": path.to_json()}
    except NotInViewError as error:
        answer = {"outcome": "not_in_view", "reason": error.reason}
    except PlanError as error:
        answer = {"outcome": "plan_error", "reason": error.reason}
    return path, {**answer, "instruction": instruction, "planner_s": [time.perf_counter() - start]}


def _mask(image: AnnotatedImage, thing: int | None) -> NDArray[np.bool_] | None:
    return None if thing is None or image.segmentation is None else image.segmentation == thing


def _drawn(rgb: NDArray[np.uint8], path: Path | None) -> bytes:
    large = np.asarray(Image.fromarray(rgb).resize((DRAWN_PX, DRAWN_PX), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray(large if path is None else draw(large, path)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def scores_and_outcomes(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    """The score of each path that has one, and whether the path was right."""
    scored = [r for r in records if r.get("path", {}).get("score") is not None]
    return [float(r["path"]["score"]) for r in scored], [bool(r["success"]) for r in scored]
