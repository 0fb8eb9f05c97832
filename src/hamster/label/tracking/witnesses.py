"""Confidence in a motion from two independent measurements: ends of silhouettes, and motion of points near them.

A silhouette's end that is something else from frame to frame jumps where points do not; points that stick to the
background, or to another part, stay behind or run ahead. Where both tell of the same motion over a third of a second,
they followed the same thing. What one of them alone tells is neither confirmed nor denied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.silhouette import tips

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
STRETCH_S = 0.33  # over which the two are compared: shorter, and a silhouette's ragged edge hides the motion
OFF = 0.04  # of the longer side by which they may be apart: a gripper's end is no wider
OFF_PART = 0.25  # of the way, in addition: an arm turns, and its points do not all move alike
KNOWN = 0.1  # of the points have to be followed
ALONE = 0.25  # the score where something moves of which only one of them tells
BOTH = 0.25  # of a clip's stretches have to be told of by both
ASIDE = 0.25  # of the side over which an arm comes in: it may as well come in so far to the left or right,
AMBIGUOUS = 0.4  # and if its far end is then another one, so far away (of the longer side), the score halves
SOME = 3  # of so many frames with a silhouette, one is looked at: its shape changes slowly
LITTLE = 0.02  # of the image in motion, typically: of less than that, hardly more than the border is crossed


def agreement(places: Array, there: Mask, steps: Array, known: Array, long_px: float, fps: float) -> Array:
    """Return (T,) 0 to 1, how well places and steps tell of the same motion around each frame.

    Args:
        places: (T, 2) pixels where silhouettes end, (T,) whether there is one.
        steps: (T - 1, 2) how the points moved, (T - 1,) the share of them that was followed.
        long_px: the longer side of the image.
        fps: frames per second.
    """
    total = len(places)
    reach = min(max(1, round(STRETCH_S * fps)), total - 1)
    at = np.r_[np.zeros((1, 2)), np.cumsum(steps, axis=0)]
    carried, moved = at[reach:] - at[:-reach], places[reach:] - places[:-reach]
    way = np.linalg.norm(carried, axis=-1)
    off = np.linalg.norm(moved - carried, axis=-1) / (OFF * long_px + OFF_PART * way)
    lost = np.r_[0, np.cumsum(known < KNOWN)]
    both = there[reach:] & there[:-reach] & (lost[reach:] == lost[:-reach])
    if both.mean() < BOTH:
        return np.zeros(total)
    agree = np.where(both, 1 / (1 + off**2), 0.0)
    smoothed = [np.convolve(values, np.ones(reach + 1)) for values in (agree, both.astype(np.float64))]
    known_frames = np.flatnonzero(smoothed[1] > 0.5)
    score = np.interp(np.arange(total), known_frames, smoothed[0][known_frames] / smoothed[1][known_frames])
    alone = (smoothed[1] < 0.5) & there
    return np.where(alone, np.minimum(score, ALONE), score)


def certainty(masks: Sequence[Mask], places: Array, there: Mask, origin: Array) -> Array:
    """Return (T,) confidence, 0 to 1, that the far ends of silhouettes are tips of an arm, by their shape.

    A gripper at the end of an outstretched arm is the far end from anywhere; an elbow, or one corner of what moves, is
    that from one place only. And of a sliver at the image's border it is unclear what it is part of.

    Args:
        places: (T, 2) the far ends seen from `origin`, (T,) whether there is one.
        origin: (2,) where the arm comes in over the border, in pixels.
    """
    size = np.array(masks[0].shape[::-1], np.float64)
    to_border = np.minimum(origin, size - 1 - origin)
    along = np.array([0.0, 1.0]) if to_border[0] < to_border[1] else np.array([1.0, 0.0])
    frames = np.flatnonzero(there)[::SOME]
    some = [masks[t] for t in frames.tolist()]
    aside = ASIDE * size * along
    off = [np.linalg.norm(tips(some, start)[0] - places[frames], axis=-1) for start in (origin - aside, origin + aside)]
    apart = np.interp(np.arange(len(masks)), frames, np.max(off, axis=0)) / size.max()
    share = float(np.median([np.count_nonzero(mask) / mask.size for mask in some]))
    return np.asarray(min(1.0, share / LITTLE) / (1 + (apart / AMBIGUOUS) ** 2))
