"""A parsed answer in relative coordinates: a path, or boxes and points that do not form one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hamster.path.error import PlanError
from hamster.path.path import Gripper, Path2D


@dataclass(frozen=True)
class Point:
    """A place on the image.

    Attributes:
        uv: relative, x to the right, y down.
        depth_m: metres along the optical axis, None where the text does not give it.
        event: what the gripper does here, None where the text does not give it.
        image: which of several images it lies on, "" where there is one.
    """

    uv: tuple[float, float]
    depth_m: float | None = None
    event: Gripper | None = None
    label: str = ""
    image: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle: its upper left and lower right corner, relative."""

    corners: tuple[float, float, float, float]
    label: str = ""


@dataclass(frozen=True)
class Answer:
    """All points and boxes of one text, at least one of them, in the order in which they are to be visited."""

    text: str
    points: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def is_path(self) -> bool:
        """True if the points form a path: there are some, and all are on one image."""
        return bool(self.points) and len({point.image for point in self.points}) == 1

    def path(self) -> Path2D:
        """Return the path through the points; boxes beside them say what is there, not where to go.

        Raises:
            PlanError: if there is none.
        """
        if not self.points:
            raise PlanError(f"{len(self.boxes)} box(es) and no point: that is no path", self.text)
        if not self.is_path:
            raise PlanError("the points lie on several images; a path lies on one", self.text)
        states = [Gripper.UNKNOWN]
        for point in self.points:
            states.append(states[-1] if point.event is None else point.event)
        depths = [point.depth_m for point in self.points if point.depth_m is not None]
        if depths and len(depths) < len(self.points):
            raise PlanError(f"{len(depths)} of {len(self.points)} points have a depth: all or none", self.text)
        uv = np.array([point.uv for point in self.points])
        return Path2D(uv, np.array(states[1:], np.int8), np.array(depths) if depths else None)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists: points with label and image, boxes with label."""
        points = [{"uv": list(p.uv), "label": p.label, "image": p.image} for p in self.points]
        return {"points": points, "boxes": [{"uvuv": list(b.corners), "label": b.label} for b in self.boxes]}

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for two answers that say the same."""
        points = [(_rounded(p.uv), p.depth_m, p.event, p.image) for p in self.points]
        return tuple(points), tuple(_rounded(b.corners) for b in self.boxes)


def answer_of(path: Path2D, text: str) -> Answer:
    """Return the answer whose path this is."""
    events = dict(path.events)
    depths = [None] * len(path) if path.depth_m is None else path.depth_m.tolist()
    points = (Point((u, v), depths[i], events.get(i)) for i, (u, v) in enumerate(path.uv.tolist()))
    return Answer(text, tuple(points))


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 9) for value in values)
