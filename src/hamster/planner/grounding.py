"""Judge whether a path goes to the right object and ends at the right goal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.path import Gripper, Path2D

NEAR = 0.05  # of the image's sides: as good as on the object

Mask = NDArray[np.bool_]


def grounding(
    path: Path2D, truth: Path2D, target: Mask | None, goal: Mask | None = None, task: str = ""
) -> dict[str, bool]:
    """Judge a path by the objects that it should deal with.

    The rule, by task (`on` means: inside the object's mask, or within 0.05 of the true path's own point):

    - pick_place, stack: the waypoint with the last close event is on the target (a gripper that was closed before, on
      nothing, has an earlier one), and that with the last open event (without one: the last waypoint) on the goal.
      Where the true path never closes the gripper, a path starts right if it doesn't either.
    - press: the last waypoint is on the target; there is no goal.
    - push, knock: the polyline passes over the target's mask (or within 0.05 of the true path's point nearest to the
      middle of the mask), and the last waypoint is within 0.05 of the true one, or on the goal's mask if there is one.

    Args:
        path: to be judged.
        truth: the label.
        target: (H, W) mask of what the gripper goes to; None where it is not visible, then only 0.05 counts.
        goal: (H, W) mask of where it ends up, or None.
        task: name of the task family; any other than the above is judged like pick_place if `truth` opens the
            gripper at some time, else like press.

    Returns:
        start, end: right or not; path: both.
    """
    if task in ("push", "knock"):
        start = _passes(path, truth, target)
        end = _on(path.uv[-1], truth.uv[-1], goal)
    elif task in ("pick_place", "stack") or (task != "press" and _events(truth, Gripper.OPEN)):
        start = _starts(path, truth, target)
        end = _on(_release(path), _release(truth), goal)
    else:
        start = end = _on(path.uv[-1], truth.uv[-1], target)
    return {"start": start, "end": end, "path": start and end}


def _events(path: Path2D, state: Gripper) -> list[int]:
    return [i for i, new in path.events if new is state]


def _starts(path: Path2D, truth: Path2D, target: Mask | None) -> bool:
    grasps, true_grasps = _events(path, Gripper.CLOSED), _events(truth, Gripper.CLOSED)
    if not grasps or not true_grasps:
        return not grasps and not true_grasps
    return _on(path.uv[grasps[-1]], truth.uv[true_grasps[-1]], target)


def _release(path: Path2D) -> NDArray[np.float64]:
    opens = _events(path, Gripper.OPEN)
    return np.asarray(path.uv[opens[-1] if opens else -1])


def _passes(path: Path2D, truth: Path2D, target: Mask | None) -> bool:
    line = _dense(path)
    if target is None or not target.any():
        return any(_on(point, truth.uv[min(1, len(truth) - 1)], None) for point in line)
    rows, columns = np.nonzero(target)
    middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / target.shape[::-1]
    true_line = _dense(truth)
    touch = true_line[np.linalg.norm(true_line - middle, axis=1).argmin()]
    return any(_on(point, touch, target) for point in line)


def _dense(path: Path2D) -> NDArray[np.float64]:
    if len(path) == 1:
        return np.asarray(path.uv)
    parts = [np.linspace(a, b, 65) for a, b in zip(path.uv[:-1], path.uv[1:], strict=True)]
    return np.concatenate(parts)


def _on(point: NDArray[np.float64], true_point: NDArray[np.float64], mask: Mask | None) -> bool:
    if float(np.linalg.norm(point - true_point)) <= NEAR:
        return True
    if mask is None:
        return False
    height, width = mask.shape
    column, row = min(int(point[0] * width), width - 1), min(int(point[1] * height), height - 1)
    return bool(mask[row, column])
