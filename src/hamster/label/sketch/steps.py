"""The steps of a drawing, and the one path that carries them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.path import Gripper, Path2D
from hamster.path.simplify import EPSILON, kept_waypoints


@dataclass(frozen=True, eq=False)
class Step:
    """One arrow.

    Attributes:
        uv: (N, 2) from tail to tip, relative to the image, x right, y down.
        grasps: whether it grasps at its tail, by a circle or by the instruction.
        releases: at its tip.
        arrow: whether it has a head; a mere stroke does not say that something is moved.
    """

    uv: NDArray[np.float64]
    grasps: bool = False
    releases: bool = False
    arrow: bool = True


def path_of(steps: Sequence[Step], score: float | None = None, epsilon: float = EPSILON) -> Path2D:
    """Return the steps one after the other as a path, simplified; tail and tip of each step are waypoints in any case.

    A hand that grasps a second thing must have let go of the first: that is the only event that is not drawn.

    Args:
        steps: in order.
        score: of the path.
        epsilon: of the simplification, relative to the image.

    Raises:
        ValueError: if there is no step.
    """
    if not steps:
        raise ValueError("a path needs at least one step")
    uv = np.clip(np.concatenate([step.uv for step in steps]), 0.0, 1.0)
    gripper = np.full(len(uv), Gripper.UNKNOWN, np.int8)
    at = 0
    for step in steps:
        if step.grasps:
            if at and gripper[at - 1] == Gripper.CLOSED:
                gripper[at - 1] = Gripper.OPEN
            gripper[at:] = Gripper.CLOSED
        at += len(step.uv)
        if step.releases:
            gripper[at - 1 :] = Gripper.OPEN
    tips = np.cumsum([len(step.uv) for step in steps])
    kept = kept_waypoints(uv, [*(tips - 1).tolist(), *tips[:-1].tolist()], epsilon)
    return Path2D(uv[kept], gripper[kept], None, score)
