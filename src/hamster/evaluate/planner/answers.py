"""Asking a planner about images whose right answers are known, one record an answer."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Annotation
from hamster.evaluate.journal import Journal, Record
from hamster.evaluate.outages import AGAIN, IN_A_ROW, Outages
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import path_errors
from hamster.planner import Planner, PlannerUnavailableError
from hamster.planner.grounding import grounding
from hamster.stopped import RunStoppedError

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


@dataclass
class Asking:
    """Asks a planner, and keeps each answer at once; those that are kept already are not asked for again.

    Attributes:
        planner: that is asked. name: in the table.
        journal: of the answers. outages: questions that could not be asked, which are in no journal.
    """

    planner: Planner
    name: str
    journal: Journal
    outages: Outages

    def __post_init__(self) -> None:
        self._kept = self.journal.records()

    def all(
        self, images: Iterable[AnnotatedImage], source: str, n: int | None, seed: int, into: Answers
    ) -> Iterator[Record]:
        """Asks all `questions`, collects the answers, and yields those that have a label.

        Raises:
            RunStoppedError: if the planner could not be asked a few times in a row.
        """
        for scene, (image, annotation, absent) in enumerate(questions(images, n, seed)):
            about = {"condition": self.name, "source": source, "scene": scene, "policy_s": []}
            if "row" in image.provenance.extra:
                about["row"] = image.provenance.extra["row"]
            rgb, family = image.view.rgb, annotation.task or "path"
            record = self._record(
                {"key": f"{source}/{scene}", **about, "family": family},
                partial(judge, image, annotation, self.planner),
            )
            if record is not None:
                into.in_view.append(record)
                into.drawn.append(_drawn(rgb, Path2D.from_json(record["path"]) if "path" in record else None))
                yield record
            if absent is not None:
                in_vain = self._record(
                    {"key": f"{source}/{scene}/{ABSENT}", **about, "family": ABSENT},
                    partial(_in_vain, rgb, absent, self.planner),
                )
                into.absent += [in_vain] if in_vain is not None else []

    def _record(self, about: Record, ask: Callable[[], Record]) -> Record | None:
        """The answer that is kept, or a new one; None where the planner could not be asked."""
        if about["key"] in self._kept:
            return self._kept[about["key"]]
        try:
            record = {**about, **ask()}
        except PlannerUnavailableError as error:
            self.outages.note(self.name, error.reason)
            if self.outages.has_gone(self.name):
                raise RunStoppedError(
                    f"stopped after {IN_A_ROW} outages in a row ({error}); what was answered is kept, and nothing else "
                    f"is counted: {AGAIN}"
                ) from None
            return None
        self.outages.answered(self.name)
        self.journal.append(record)
        return record


def judge(image: AnnotatedImage, annotation: Annotation, planner: Planner) -> Record:
    """A planner's answer to one instruction, and what it is worth by the rule of `grounding`.

    Raises:
        PlannerUnavailableError: if it cannot be asked now.
    """
    path, record = _asked(image.view.rgb, annotation.instruction, planner)
    if path is None:
        return {"success": False, **record}
    masks = (_mask(image, annotation.target), _mask(image, annotation.goal))
    marks = grounding(path, annotation.path, *masks, annotation.task)
    outcome = {(True, True): "right", (True, False): "wrong end", (False, True): "wrong start"}.get(
        (marks["start"], marks["end"]), "both wrong"
    )
    errors = path_errors(path, annotation.path)
    return {**record, "success": marks["path"], "outcome": outcome, "errors": errors}


def _in_vain(rgb: NDArray[np.uint8], instruction: str, planner: Planner) -> Record:
    _, record = _asked(rgb, instruction, planner)
    return {"outcome": "drawn", **record, "success": record.get("outcome") == "not_in_view"}


def _asked(rgb: NDArray[np.uint8], instruction: str, planner: Planner) -> tuple[Path2D | None, Record]:
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


def _drawn(rgb: NDArray[np.uint8], path: Path2D | None) -> bytes:
    large = np.asarray(Image.fromarray(rgb).resize((DRAWN_PX, DRAWN_PX), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray(large if path is None else draw(large, path)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def scores_and_outcomes(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    """The score of each path that has one, and whether the path was right."""
    scored = [r for r in records if r.get("path", {}).get("score") is not None]
    return [float(r["path"]["score"]) for r in scored], [bool(r["success"]) for r in scored]
