"""Label one drawing: the picture under it with a path, or a reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Annotation, Drawing, View
from hamster.label.method import LabelMethod, Skipped
from hamster.label.sketch.steps import Step, path_of
from hamster.label.sketch.vector import steps_of_strokes
from hamster.label.sketch.words import with_events
from hamster.path import Path2D
from hamster.path.simplify import EPSILON, simplify


def label_drawing(drawing: Drawing, epsilon: float = EPSILON) -> AnnotatedImage | Skipped:
    """Return the picture without the drawing, annotated with what the drawing says.

    All steps of a drawing make one path, as its instruction is one sentence. How it was found, how sure it is, and what
    its order is by ("heads", "gradient", "colours" or "numbers"; "drawn", if strokes are data) and its grasps and
    releases ("words", "arrows", "circles" or "unclear"; "drawn", if the path is data) stands in
    `provenance.extra["how"]`; the path has that score.
    """
    file = drawing.provenance.file or drawing.provenance.source
    read = _read(drawing, epsilon)
    if isinstance(read, str):
        return Skipped(file, read)
    if not drawing.instruction.strip():
        return Skipped(file, "nobody wrote down what it shows: give an instruction in index.jsonl or the file's name")
    path, rgb, order, events = read
    method = LabelMethod("stroke", path.score)
    extra = {**drawing.provenance.extra, "how": {**method.to_json(), "order": order, "events": events}}
    provenance = replace(drawing.provenance, extra=extra)
    return AnnotatedImage(View(rgb), [Annotation(drawing.instruction, path)], provenance)


def _read(drawing: Drawing, epsilon: float) -> tuple[Path2D, NDArray[np.uint8], str, str] | str:
    """Return path, clean picture, and what order and events are by; or why there is no path."""
    picture = drawing.rgb if drawing.clean is None else drawing.clean
    if picture is None:
        return "strokes without a picture: put the photograph beside them"
    if drawing.path is not None:
        return replace(simplify(drawing.path, epsilon), score=1.0), picture, "drawn", "drawn"
    read = _read_steps(drawing, picture)
    if isinstance(read, str):
        return read
    steps, rgb, score, order = read
    steps, events = with_events(steps, drawing.instruction)
    return path_of(steps, round(score, 3), epsilon), rgb, order, events


def _read_steps(drawing: Drawing, picture: NDArray[np.uint8]) -> tuple[list[Step], NDArray[np.uint8], float, str] | str:
    """Return steps, clean picture, score and what their order is by, or why there are none."""
    if len(drawing.strokes):
        steps = steps_of_strokes(drawing.strokes)
        return (steps, picture, 1.0, "drawn") if steps else "no stroke is long enough to be a path"
    if drawing.rgb is None:
        return "neither a drawing nor strokes"
    from hamster.label.sketch.raster import read_raster  # OpenCV is needed for pixels only

    reading = read_raster(drawing.rgb, drawing.clean, drawing.siblings)
    return reading if isinstance(reading, str) else (list(reading.steps), reading.clean, reading.score, reading.order)
