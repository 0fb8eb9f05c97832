"""Statistics of a source or a label set, to inspect before training on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Source, Unreadable, View
from hamster.label.dataset import kinds_of, left_out, read_annotated, read_conversations, read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Labelled, Options, read_and_label
from hamster.label.method import Skipped
from hamster.path import Path2D

GRID = 10  # cells a side that starts and ends are counted in

Found = Labelled | Skipped | Unreadable
READERS: dict[str, Callable[[Path], Iterator[Labelled]]] = {
    "annotated": read_annotated,
    "episodes": read_episodes,
    "conversations": read_conversations,
}


@dataclass
class Survey:
    """Counts over everything that `add` was called with.

    Attributes:
        outcome: labelled, abstained, failed; reasons: of the last two, each with its number.
        absent: how many instructions cannot be carried out. frames: of each episode.
        cameras: by "name, size, calibrated or not", the number of images or episodes.
        starts, ends: (GRID, GRID) how many first paths start and end in each cell, rows from the top.
        waypoints, events: how many paths have so many.
        left_out: frames of labelled episodes that have no path, by reason. notes: of how labels came about.
    """

    outcome: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    instructions: set[str] = field(default_factory=set)
    absent: int = 0
    frames: list[int] = field(default_factory=list)
    cameras: Counter[str] = field(default_factory=Counter)
    waypoints: Counter[int] = field(default_factory=Counter)
    events: Counter[int] = field(default_factory=Counter)
    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((GRID, GRID), np.int64))
    ends: NDArray[np.int64] = field(default_factory=lambda: np.zeros((GRID, GRID), np.int64))
    left_out: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Found) -> None:
        """Count one item."""
        if isinstance(outcome, Skipped | Unreadable):
            self.outcome["abstained" if isinstance(outcome, Skipped) else "failed"] += 1
            self.reasons[outcome.reason] += 1
            return
        self.outcome["labelled"] += 1
        if isinstance(outcome, LabelledEpisode):
            self._add_episode(outcome)
        elif isinstance(outcome, AnnotatedImage):
            self._add_image(outcome)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers; coverage is the share of cells in which at least one path starts, or ends."""
        lengths = np.array(self.frames or [0])
        return {
            "items": sum(self.outcome.values()),
            **{name: self.outcome[name] for name in ("labelled", "abstained", "failed")},
            "reasons": dict(self.reasons.most_common()),
            "methods": dict(self.methods.most_common()),
            "tasks": dict(self.tasks.most_common()),
            "instructions": len(self.instructions),
            "absent": self.absent,
            "frames": {"total": int(lengths.sum()), "shortest": int(lengths.min()),
                       "median": float(np.median(lengths)), "longest": int(lengths.max())},
            "frames_left_out": dict(self.left_out.most_common()),
            "notes": dict(self.notes.most_common()),
            "cameras": dict(self.cameras.most_common()),
            "waypoints": dict(sorted(self.waypoints.items())),
            "gripper_events": dict(sorted(self.events.items())),
            "coverage": {"starts": float((self.starts > 0).mean()), "ends": float((self.ends > 0).mean())},
        }  # fmt: skip

    def _add_episode(self, labelled: LabelledEpisode) -> None:
        first = labelled.episode.observations[0].views
        for name, view in first.items():
            self.cameras[_described(name, view)] += 1
        self.frames.append(len(labelled.labels))
        self.methods[labelled.method.name] += 1
        text, label = labelled.first
        self._add_path(label.path, text, labelled.task)
        self.instructions.update(labelled.episode.texts)
        self.left_out.update(labelled.left_out)
        self.notes.update(labelled.method.notes)

    def _add_image(self, image: AnnotatedImage) -> None:
        self.cameras[_described("image", image.view)] += 1
        self.methods[str(image.provenance.extra.get("how", {}).get("method", "simulation"))] += 1
        self.absent += len(image.absent)
        for annotation in image.annotations:
            self._add_path(annotation.path, annotation.instruction, annotation.task)

    def _add_path(self, path: Path2D, instruction: str, task: str) -> None:
        for grid, uv in ((self.starts, path.uv[0]), (self.ends, path.uv[-1])):
            column, row = np.minimum((uv * GRID).astype(int), GRID - 1)
            grid[row, column] += 1
        self.waypoints[len(path)] += 1
        self.events[len(path.events)] += 1
        self.tasks[task] += 1
        self.instructions.add(instruction)


def labelled_items(source: Source, options: Options, most: int | None = None) -> Iterator[Found]:
    """Yield the source's items, the first `most` of them, labelled but not written.

    Args:
        source: to label.
        options: of the labelling.
        most: number of items; all if None.
    """
    for index in range(min(len(source), most or len(source))):
        yield read_and_label(source, index, options)


def stored_items(folder: Path) -> Iterator[Found]:
    """Yield everything in a label set, also what was left out of it."""
    for kind in sorted(kinds_of(folder)):
        yield from READERS[kind](folder)
    for record in left_out(folder):
        yield (Skipped if record["how"] == "abstained" else Unreadable)(record["file"], record["reason"])


def survey(items: Iterable[Found]) -> Survey:
    """Count all items."""
    counted = Survey()
    for item in items:
        counted.add(item)
    return counted


def _described(name: str, view: View) -> str:
    height, width = view.rgb.shape[:2]
    depth = ", depth" if view.depth_m is not None else ""
    return f"{name} {width}x{height}{depth}, {'calibrated' if view.camera is not None else 'not calibrated'}"
