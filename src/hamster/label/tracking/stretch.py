"""The part of a clip in which one tip is tracked without a break; what comes before it has no label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
SPEED = 2.5  # longer sides of the image per second: a fast reach; what is faster is another thing
TELEPORT = 0.25  # of the longer side from one frame to the next, at however few frames a second
GAP_S = 0.5  # out of view for longer, and it may have been anywhere
MOST = 0.6  # of the frames in which there is an arm, that one stretch has to cover,
AFTER = 0.1  # and of these frames those that may follow it: else its end is not the end of the task


def steady_stretch(px: Array, present: Mask, long_px: float, fps: float) -> tuple[int, int] | str:
    """Return the first and the last frame of the longest stretch without a jump or a gap; or why that is not enough.

    Args:
        px: (T, 2) the tip.
        present: (T,) whether an arm is in the picture.
        long_px: the longer side of the image.
        fps: frames per second.
    """
    numbers = np.flatnonzero(present)
    if not len(numbers):
        return "no arm is seen"
    gaps = np.diff(numbers) - 1 > max(1, GAP_S * fps)
    jump = np.linalg.norm(np.diff(px, axis=0), axis=-1) > long_px * min(SPEED / fps, TELEPORT)
    jumps = np.diff(np.r_[0, np.cumsum(jump)][numbers]) > 0
    parts = np.split(numbers, np.flatnonzero(gaps | jumps) + 1)
    part = max(parts, key=len)
    after = int((numbers > part[-1]).sum())
    if len(part) < MOST * len(numbers) or after > AFTER * len(numbers):
        why = "the tip jumps" if jumps.any() else "the arm leaves the view and comes back"
        return f"{why}: no more than {len(part)} of {len(numbers)} frames with an arm hang together"
    return int(part[0]), int(part[-1])
