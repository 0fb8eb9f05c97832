"""A planner's answers on labelled images, one record per answer."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Annotation, Unreadable
from hamster.evaluate.journal import Journal, Record
from hamster.evaluate.outages import AGAIN, IN_A_ROW, Outages
from hamster.evaluate.planner.cached_answers import CachedAnswers
from hamster.evaluate.planner.trace_scores import trace_errors
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import path_errors
from hamster.planner import Plan, Planner, PlannerUnavailableError
from hamster.planner.base import checked_plan
from hamster.planner.grounding import grounding
from hamster.stopped import RunStoppedError

ABSENT = "absent"
DRAWN_PX = 384
Picture = tuple[NDArray[np.uint8], str]


@dataclass
class Answers:
    """All records so far, with a thumbnail of each path.

    Attributes:
        in_view: answers to instructions with a label.
        absent: answers to instructions about absent objects; a refusal is a success.
        drawn: JPEG files, one for each record of `in_view`.
        unreadable: items that could not be read, by source.
        ids: of the items that were looked up in `CachedAnswers`.
    """

    in_view: list[Record] = field(default_factory=list)
    absent: list[Record] = field(default_factory=list)
    drawn: list[bytes] = field(default_factory=list)
    unreadable: dict[str, list[Unreadable]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def of(self, source: str, absent: bool = False) -> list[Record]:
        """Return the records of one source."""
        return [record for record in (self.absent if absent else self.in_view) if record["source"] == source]

    def best_median_worst(self, n: int) -> list[Picture]:
        """Return captioned thumbnails of the n best, the n median and the n worst paths; no path is worst."""
        order = sorted(range(len(self.in_view)), key=lambda i: self._distance(self.in_view[i]))
        middle = max(0, (len(order) - n) // 2)
        parts = (order[:n], order[middle : middle + n], order[-n:])
        if len(order) <= 3 * n:
            return [self._picture(i, "") for i in order]
        return [
            self._picture(i, what) for what, part in zip(("best", "median", "worst"), parts, strict=True) for i in part
        ]

    @staticmethod
    def _distance(record: Record) -> float:
        return float(record["errors"]["frechet"]) if "errors" in record else float("inf")

    def _picture(self, i: int, what: str) -> Picture:
        record = self.in_view[i]
        caption = f"{what} [{record['outcome']}] {record['instruction']}".strip()
        return np.asarray(Image.open(io.BytesIO(self.drawn[i]))), caption


class Sample(NamedTuple):
    """One labelled instruction of an image.

    Attributes:
        number: of the image in its source, from 0.
        image: to plan on.
        annotation: the instruction and its label.
        absent: an instruction about an object that is not in view, None where the image has none.
    """

    number: int
    image: AnnotatedImage
    annotation: Annotation
    absent: str | None


def sample_instructions(images: Iterable[AnnotatedImage | Unreadable], n: int | None, seed: int) -> Iterator[Sample]:
    """Yield one labelled instruction per image, and one about an absent object where the image has any.

    Args:
        images: those without a label, and items that could not be read, are skipped.
        n: number of images; None for all.
        seed: of the choice of instructions.
    """
    rng, done = np.random.default_rng(seed), 0
    absent_rng = np.random.default_rng((seed, 1))  # of its own, so that the choice of labels does not depend on it
    for number, image in enumerate(images):
        if done == n:
            break
        if isinstance(image, Unreadable) or not image.annotations:
            continue
        annotation = image.annotations[int(rng.integers(len(image.annotations)))]
        absent = image.absent[int(absent_rng.integers(len(image.absent)))] if image.absent else None
        yield Sample(number, image, annotation, absent)
        done += 1


@dataclass
class AnswerCollector:
    """Queries a planner and writes each answer at once; answers that the journal holds are not queried again.

    Attributes:
        planner: to query, or stored answers.
        name: of the planner, in the table.
        journal: of the answers.
        outages: queries that got no response, which are in no journal.
    """

    planner: Planner | CachedAnswers
    name: str
    journal: Journal
    outages: Outages

    def __post_init__(self) -> None:
        self._stored = self.journal.records()

    def collect(
        self, images: Iterable[AnnotatedImage | Unreadable], source: str, n: int | None, seed: int, into: Answers
    ) -> Iterator[Record]:
        """Query all `sample_instructions` and yield the answers that have a label.

        Args:
            images: of the source.
            source: its name.
            n: number of images; None for all.
            seed: of the choice of instructions.
            into: collects all answers.

        Raises:
            RunStoppedError: if the planner did not respond several times in a row.
        """
        for scene, sample in enumerate(sample_instructions(_noting_unreadable(images, source, into), n, seed)):
            image, annotation = sample.image, sample.annotation
            if isinstance(self.planner, CachedAnswers):
                item_id = self.planner.id_of(image, sample.number)
                if item_id in into.ids:
                    raise ValueError(f"two items of {source} have the id {item_id!r}: it is unclear whose an answer is")
                into.ids.add(item_id)
            about = {"condition": self.name, "source": source, "scene": scene, "policy_s": []}
            if "row" in image.provenance.extra:
                about["row"] = image.provenance.extra["row"]
            rgb, family = image.view.rgb, annotation.task or "path"
            record = self._record(
                {"key": f"{source}/{scene}", **about, "family": family},
                partial(judge, sample, self.planner),
            )
            if record is not None:
                into.in_view.append(record)
                into.drawn.append(_drawn(rgb, Path2D.from_json(record["path"]) if "path" in record else None))
                yield record
            if sample.absent is not None and not isinstance(self.planner, CachedAnswers):
                refusal = self._record(
                    {"key": f"{source}/{scene}/{ABSENT}", **about, "family": ABSENT},
                    partial(_judge_absent, sample, self.planner),
                )
                into.absent += [refusal] if refusal is not None else []

    def _record(self, about: Record, ask: Callable[[], Record]) -> Record | None:
        """Return the stored answer or a new one; None if the planner did not respond."""
        if about["key"] in self._stored:
            return self._stored[about["key"]]
        try:
            record = {**about, **ask()}
        except PlannerUnavailableError as error:
            self.outages.note(self.name, error.reason)
            if self.outages.is_down(self.name):
                raise RunStoppedError(
                    f"stopped after {IN_A_ROW} outages in a row ({error}); the answers so far are kept: {AGAIN}"
                ) from None
            return None
        self.outages.answered(self.name)
        self.journal.append(record)
        return record


def _noting_unreadable(
    images: Iterable[AnnotatedImage | Unreadable], source: str, into: Answers
) -> Iterator[AnnotatedImage | Unreadable]:
    for image in images:
        if isinstance(image, Unreadable):
            into.unreadable.setdefault(source, []).append(image)
        yield image


def judge(sample: Sample, planner: Planner | CachedAnswers) -> Record:
    """Query a planner for one instruction and judge its path by `grounding`.

    Args:
        sample: the image, the instruction and its label.
        planner: to query, or stored answers.

    Raises:
        PlannerUnavailableError: if it does not respond.
    """
    image, annotation = sample.image, sample.annotation
    path, record = _query(sample, annotation.instruction, planner)
    record["trace"] = trace_errors(path, image, annotation)
    if path is None:
        return {"success": False, **record}
    masks = (_mask(image, annotation.target), _mask(image, annotation.goal))
    marks = grounding(path, annotation.path, *masks, annotation.task)
    outcome = {(True, True): "right", (True, False): "wrong end", (False, True): "wrong start"}.get(
        (marks["start"], marks["end"]), "both wrong"
    )
    errors = path_errors(path, annotation.path)
    return {**record, "success": marks["path"], "outcome": outcome, "errors": errors}


def _judge_absent(sample: Sample, planner: Planner | CachedAnswers) -> Record:
    _, record = _query(sample, str(sample.absent), planner)
    return {"outcome": "drawn", **record, "success": record.get("outcome") == "not_in_view"}


def _query(sample: Sample, instruction: str, planner: Planner | CachedAnswers) -> tuple[Path2D | None, Record]:
    start = time.perf_counter()
    path, answer = None, dict[str, Any]()
    try:
        path = _plan(sample, instruction, planner).path
        answer = {"path": path.to_json()}
    except NotInViewError as error:
        answer = {"outcome": "not_in_view", "reason": error.reason}
    except PlanError as error:
        answer = {"outcome": "plan_error", "reason": error.reason}
    seconds = [] if isinstance(planner, CachedAnswers) else [time.perf_counter() - start]
    return path, {**answer, "instruction": instruction, "planner_s": seconds}


def _plan(sample: Sample, instruction: str, planner: Planner | CachedAnswers) -> Plan:
    if isinstance(planner, CachedAnswers):
        return planner.plan(sample.image, sample.number)
    return checked_plan(planner.plan(sample.image.view.rgb, instruction), planner)


def _mask(image: AnnotatedImage, object_id: int | None) -> NDArray[np.bool_] | None:
    return None if object_id is None or image.segmentation is None else image.segmentation == object_id


def _drawn(rgb: NDArray[np.uint8], path: Path2D | None) -> bytes:
    large = np.asarray(Image.fromarray(rgb).resize((DRAWN_PX, DRAWN_PX), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray(large if path is None else draw(large, path)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def scores_and_outcomes(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    """Return the score of each path that has one, and whether that path was correct."""
    scored = [r for r in records if r.get("path", {}).get("score") is not None]
    return [float(r["path"]["score"]) for r in scored], [bool(r["success"]) for r in scored]
