"""The path as points in the world, to be fused into what a 3D policy sees (after 3D HAMSTER, arXiv 2606.31329)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.path import Gripper
from hamster.path.colours import jet
from hamster.path.draw import STYLES
from hamster.policy.path_prompt import Guide, gripper_states

Array = NDArray[np.float64]
FEATURES = 8  # progress, gripper unknown / closed / open from here on, event here, ray from the camera
COLOURS = 3


@dataclass(frozen=True, eq=False)
class Cloud:
    """N points along a path.

    Attributes:
        points_world: (N, 3) metres.
        rgb: (N, 3) uint8, the colours of the drawing: the line's, and at events those of their rings.
        features: (N, 8) float64, see `FEATURES`; the ray tells where a path may run that its surface hides.
        on: (N,) False everywhere where there is no path.
    """

    points_world: Array
    rgb: NDArray[np.uint8]
    features: Array
    on: NDArray[np.bool_]


def cloud(guide: Guide | None, n: int) -> Cloud:
    """`n` points at equal steps of progress, lifted; of the points nearest to an event one is its event.

    Raises:
        ValueError: if there is a path, but no depth or calibration to lift it with, or n < 1.
    """
    if n < 1:
        raise ValueError(f"a cloud has at least one point, not {n}")
    if guide is None:
        zeros = np.zeros((n, 3))
        return Cloud(zeros, zeros.astype(np.uint8), np.zeros((n, FEATURES)), np.zeros(n, bool))
    path, events = guide.path, [(i, state) for i, state in guide.path.events if state is not Gripper.UNKNOWN]
    at = np.linspace(0, 1, n)
    rows = guide.waypoint(at)
    rgb, is_event = jet(at), np.zeros(n)
    for i, state in events:
        place = int(np.abs(at - guide.progress[i]).argmin())
        at[place], rows[place], is_event[place] = guide.progress[i], i, 1
        rgb[place] = STYLES["jet"].markers[state]
    states = gripper_states(path.gripper[rows])
    points = guide.points_world(at)
    features = np.concatenate([at[:, None], states, is_event[:, None], guide.rays_world(points)], -1)
    return Cloud(points, rgb, features, np.ones(n, bool))
