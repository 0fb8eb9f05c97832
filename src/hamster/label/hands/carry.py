"""Does something move with the hand? What is near the fingers, but not part of the hand, tells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import WRIST
from hamster.label.hands.motion import Motion
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.opencv import opencv

Array = NDArray[np.float64]
STEP_S = 0.1  # between the two pictures that are compared
LEAST_MOVE = 0.25  # palms in that time: else what stays and what goes along cannot be told apart
REACH = 1.2  # palms around the tip: there a thing in the hand is seen
SKIN = 0.25  # palms around the hand's outline that may still be hand
CONTRAST = 20  # of 255: what looks alike in both places says nothing
LEAST = 25  # pixels that say something


def carried(clip: Clip, motion: Motion) -> Array:
    """(T,) share of what is seen around the fingers that moves along with them; NaN where that cannot be told.

    Each pixel votes: it is found again where the hand has gone by now (a thing in the hand), or where it was (the
    background), by the smaller difference of colour.
    """
    step = max(1, round(STEP_S * clip.fps))
    out = np.full(len(clip), np.nan)
    for t in range(len(clip) - step):
        shift = motion.tip_px[t + step] - motion.tip_px[t]
        if motion.seen[t] and motion.seen[t + step] and np.hypot(*shift) > LEAST_MOVE * motion.palm_px:
            out[t] = _votes(clip.rgb[t], clip.rgb[t + step], shift, _around(clip, motion, t, t + step, shift))
    return out


def _around(clip: Clip, motion: Motion, t: int, later: int, shift: Array) -> NDArray[np.bool_]:
    """(h, w) what is near the fingers' tips, in front of the hand, and hand neither now nor later."""
    cv2 = opencv()
    near = np.zeros(clip.rgb.shape[1:3], np.uint8)
    tip, palm = motion.tip_px[t], motion.palm_px
    cv2.circle(near, tuple(tip.round().astype(int).tolist()), round(REACH * palm), 1, -1)
    hand = np.zeros_like(near)
    for shape in (motion.landmarks_px[t], motion.landmarks_px[later], motion.landmarks_px[later] - shift):
        hull = cv2.convexHull(shape.round().astype(np.int32))
        cv2.fillConvexPoly(hand, hull, 1)
        cv2.polylines(hand, [hull], True, 1, max(1, round(2 * SKIN * palm)))
    height, width = clip.rgb.shape[1:3]
    v, u = np.mgrid[0:height, 0:width]
    forward = tip - motion.landmarks_px[t, WRIST]
    ahead = (u - tip[0]) * forward[0] + (v - tip[1]) * forward[1] > -0.3 * palm * np.hypot(*forward)
    return np.asarray((near > 0) & (hand == 0) & ahead)


def _votes(now: NDArray[np.uint8], then: NDArray[np.uint8], shift: Array, where: NDArray[np.bool_]) -> float:
    v, u = np.nonzero(where)
    height, width = where.shape
    to_u, to_v = np.round(u + shift[0]).astype(int), np.round(v + shift[1]).astype(int)
    inside = (to_u >= 0) & (to_u < width) & (to_v >= 0) & (to_v < height)
    u, v, to_u, to_v = u[inside], v[inside], to_u[inside], to_v[inside]
    here = now[v, u].astype(np.int16)
    stayed = np.abs(then[v, u] - here).max(-1)
    went = np.abs(then[to_v, to_u] - here).max(-1)
    along = (stayed > CONTRAST) & (went < 0.5 * stayed)
    behind = (went > CONTRAST) & (stayed < 0.5 * went)
    said = int(along.sum() + behind.sum())
    return float(along.sum() / said) if said >= LEAST else float("nan")
