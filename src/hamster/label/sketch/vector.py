"""Classify strokes that are given as data: lines, arrow heads and circles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.steps import Step
from hamster.path.path import arc_length
from hamster.path.simplify import resample

Array = NDArray[np.float64]
_SHORTEST = 0.02  # of a line, relative to the image; shorter ones are dots and slips of the pen
_ROUND = 0.05  # area over squared circumference: a circle has 0.08, an ellipse of 1:3 has 0.05


def steps_of_strokes(strokes: Sequence[Array]) -> list[Step]:
    """Return one step per line, in drawing order; a closed stroke at a line's end is a grasp or a release there.

    Args:
        strokes: (N, 2) relative polylines in drawing order.
    """
    strokes = [resample(stroke, 64) for stroke in strokes if len(stroke) > 1 and arc_length(stroke)[-1] > _SHORTEST]
    circles = [stroke for stroke in strokes if _is_circle(stroke)]
    lines: list[tuple[Array, bool]] = []
    for stroke in strokes:
        if _is_circle(stroke):
            continue
        if lines and _is_head(stroke, lines[-1][0]):
            lines[-1] = lines[-1][0], True
        else:
            lines.append((stroke, False))
    centres = np.array([circle.mean(0) for circle in circles]).reshape(-1, 2)
    radii = np.array([np.linalg.norm(c - middle, axis=1).max() for c, middle in zip(circles, centres, strict=True)])
    return [_step(line, centres, radii, headed) for line, headed in lines]


def _is_circle(stroke: Array) -> bool:
    x, y = stroke.T
    area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    length = float(arc_length(stroke)[-1])
    return bool(np.linalg.norm(stroke[0] - stroke[-1]) < 0.15 * length and area > _ROUND * length**2)


def _is_head(stroke: Array, line: Array) -> bool:
    """Return whether a stroke is a barb at the end of the line before it, or both of them in one go."""
    reach = float(arc_length(line)[-1])
    nearest = float(np.linalg.norm(stroke - line[-1], axis=1).min())
    return bool(arc_length(stroke)[-1] < 0.6 * reach and nearest < 0.08 * reach and _stays(stroke, line[-1], reach))


def _stays(stroke: Array, tip: Array, reach: float) -> bool:
    return bool(np.linalg.norm(stroke - tip, axis=1).max() < 0.35 * reach)


def _step(line: Array, centres: Array, radii: Array, headed: bool) -> Step:
    away = (np.linalg.norm(end - centres, axis=1) for end in (line[0], line[-1]))
    grasps, releases = (bool((distance < 1.3 * radii).any()) for distance in away)
    return Step(line, grasps, releases, headed)
