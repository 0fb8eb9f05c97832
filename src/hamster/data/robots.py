"""Conventions of robots, shared by all readers: the frame of recorded poses, and the scale of grippers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import pose

Array = NDArray[np.float64]

RECORDED_FROM_TOOL: Mapping[str, Array] = {
    # DROID reports the wrist of its Panda (panda_link8; droid-dataset/droid#2), on which a Robotiq 2F-85 sits, 0.16 m
    # long.
    "droid": pose([0, 0, 0.16]),
    # BridgeData's WidowX reports ee_gripper_link, which lies between the finger tips, turned so that no rotation means
    # pointing down. That frame's x axis points out of the gripper.
    "bridge": np.diag([-1.0, 1.0, -1.0, 1.0]),
    # The Everyday Robot of RT-1 reports its tool.
    "fractal": np.eye(4),
    # robosuite (robomimic, LIBERO) records the tip's position and the hand's rotation, along whose x axis a Panda's
    # fingers move.
    "robosuite": pose([0, 0, 0], np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])),
}
"""By robot, (4, 4) from the tool's tip to the frame whose pose is recorded."""

PANDA_OPEN_M = 0.08  # between the two fingers of Franka's hand
TOLERANCE = 0.05  # of a scale: by so much a sensor may overshoot its ends
SMALLEST_WIDTH_M = 0.005  # a gripper that opens by less is no gripper, or does not move
LARGEST_WIDTH_M = 0.2  # numbers up to here are metres, and no shares of an opening
FULL_SCALES = (100.0, 255.0, 1000.0)  # percent, a byte, per mille
LARGEST = 1e5  # counts of 16 bits are smaller: whatever is larger is no gripper's
SMALL_SHARE = 0.1  # of the opening: who goes from one end of so little to the other and back is in another unit
NOISE = 0.003  # of the opening

UNKNOWN_GRIPPER = (
    "the gripper's signal is in no unit that is known, or leaves its scale: there are no gripper events; a LeRobot set "
    "may say `open` and `closed` in meta/cameras.json"
)
"""Note (`extra["notes"]`) of an episode whose gripper was recorded, and cannot be read."""

NO_GRIPPER = (
    "no column is known to be the gripper: there are no gripper events; a LeRobot set may name it in cameras.json"
)
"""Note of an episode whose tool was recorded, and perhaps its gripper under a name that may mean several things."""


@dataclass(frozen=True)
class GripperScale:
    """Which numbers mean closed and open.

    Attributes:
        closed, open: in the unit of the recorded signal.
    """

    closed: float
    open: float

    def opening(self, signal: ArrayLike) -> Array | None:
        """Convert a signal (T,) to openings (T,), 0 closed to 1 open; None if it is in another scale.

        So it is if it leaves this one, or opens and closes within a small part of it: shares are no percent. What is
        not finite in the signal is not known, so NaN; None if that is all of it.
        """
        share = (np.asarray(signal, np.float64) - self.closed) / (self.open - self.closed)
        known = share[np.isfinite(share)]
        if not len(known) or not ((known >= -TOLERANCE) & (known <= 1 + TOLERANCE)).all():
            return None
        if _moves_within_little(known) or _moves_within_little(1 - known):
            return None
        return np.where(np.isfinite(share), share.clip(0, 1), np.nan)


def _moves_within_little(share: Array) -> bool:
    """Return whether a signal (T,) switches between two levels a few times, as grippers do, the higher one small."""
    low, high = float(share.min(initial=np.inf)), float(share.max(initial=-np.inf))
    if not (NOISE < high <= SMALL_SHARE and high - low > high / 2):
        return False
    level = (share - low) / (high - low)
    turns = int((np.diff(level > 0.5) != 0).sum())
    return bool((np.abs(level - 0.5) > 0.3).mean() > 0.8) and turns <= max(1, len(share) // 8)


def infer_gripper_scale(
    low: float, high: float, opens_upwards: bool = True, is_width: bool = False
) -> GripperScale | None:
    """Infer a gripper's scale from the range of its signal over a whole dataset.

    A dataset says what its numbers mean (open or closed upwards, a width), but rarely their unit. Shares in [0, 1] and
    [-1, 1], percent, bytes and per mille are recognised by their full scale. Small numbers are metres, though they lie
    in [0, 1], too. Whatever else it is, the dataset's own range is the scale.

    Args:
        low, high: smallest and largest value in the dataset.
        opens_upwards: whether larger numbers mean more open.
        is_width: whether they are distances between fingers, which are 0 when closed.

    Returns:
        None if the numbers do not tell: a gripper that hardly moves, or values that are not finite.
    """
    if not (np.isfinite([low, high]).all() and low <= high and max(-low, high) <= LARGEST):
        return None
    scale = _width_scale(high) if is_width else _full_scale(low, high)
    if scale is None or scale.closed == scale.open:
        return None
    if opens_upwards:
        return scale
    return GripperScale(closed=scale.open, open=scale.closed)


def _width_scale(high: float) -> GripperScale | None:
    return GripperScale(0.0, high) if high >= SMALLEST_WIDTH_M else None


def _full_scale(low: float, high: float) -> GripperScale | None:
    if low < -TOLERANCE:
        for full in (1.0, *FULL_SCALES):
            if max(-low, high) <= full * (1 + TOLERANCE):
                return GripperScale(-full, full)
        return GripperScale(low, high)
    if high <= LARGEST_WIDTH_M:
        if high - low >= SMALLEST_WIDTH_M:
            return GripperScale(0.0 if low < high / 2 else low, high)
        return GripperScale(0.0, 1.0) if high < SMALLEST_WIDTH_M else None  # nothing is closed in every unit
    if high <= 1 + TOLERANCE:
        return GripperScale(0.0, 1.0)
    for full in FULL_SCALES:
        if full / 2 < high <= full * (1 + TOLERANCE / 5):
            return GripperScale(0.0, full)
    return GripperScale(0.0 if low < high / 2 else low, high)
