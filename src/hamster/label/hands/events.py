"""When a hand takes and lets go: by what changed where it was, how wide its fingers are, and what moves with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.carry import carried
from hamster.label.hands.motion import Motion
from hamster.label.track2d import Event
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.contact import CHANGED, Visit, changed, events_at, visits
from hamster.label.tracking.silhouette import silhouettes
from hamster.path import Gripper

Array = NDArray[np.float64]
AWAY = 1.5  # palms: farther from a place, the fingers no longer hide it
MOVED = 1.0  # palms: what was moved by less was put back
WEAK = 0.12  # of a patch changed: not enough alone
SUPPORT = 0.2  # what fingers that close or open there, or a thing that starts or stops to move along, add to that
LOW, HIGH = 0.2, 0.4  # of the range of apertures: closed below, open above
LEAST_RANGE = 0.35  # palms between the widest and the narrowest aperture: less is no grasp
NEAR_S = 0.4  # between two signs of one event
HELD = 0.5  # of what is seen around the fingers moves along: there is something in them


def hand_events(clip: Clip, motion: Motion) -> list[Event]:
    """Grasps and releases in turn, none where the signs are too weak."""
    moving = silhouettes(clip).moving
    share = changed(clip, motion.tip_px, motion.seen, AWAY * motion.palm_px, moving)
    fingers = aperture_events(motion.aperture, motion.seen)
    carry = carried(clip, motion)
    reach = max(1, round(NEAR_S * clip.fps))
    found = visits(share, motion.seen, clip.fps, WEAK)
    sure = [v for v in found if v.sure + _support(v, fingers, carry, reach) >= CHANGED]
    held = bool(sure) and _mean(carry[: sure[0].start], 3) >= HELD
    return events_at(sure, motion.tip_px, clip.fps, MOVED * motion.palm_px, held)


def aperture_events(aperture: Array, seen: NDArray[np.bool_]) -> list[Event]:
    """(frame, new state) where the fingers close or open, by percentiles: one wrong frame must not set the scale."""
    if not seen.any():
        return []
    narrow, wide = np.percentile(aperture[seen], [5, 95])
    if wide - narrow < LEAST_RANGE:
        return []
    low, high = narrow + LOW * (wide - narrow), narrow + HIGH * (wide - narrow)
    events: list[Event] = []
    state = Gripper.UNKNOWN
    for t in np.flatnonzero(seen).tolist():
        now = Gripper.CLOSED if aperture[t] < low else Gripper.OPEN if aperture[t] > high else state
        if now is not state and state is not Gripper.UNKNOWN:
            events.append((t, now))
        state = now
    return events


def _support(visit: Visit, fingers: list[Event], carry: Array, reach: int) -> float:
    move = any(visit.start - reach <= t <= visit.end + reach for t, _ in fingers)
    before, after = carry[max(visit.start - 2 * reach, 0) : visit.start], carry[visit.end + 1 :][: 2 * reach]
    return SUPPORT * (move + (abs(_mean(after) - _mean(before)) >= HELD / 2))


def _mean(carry: Array, least: int = 1) -> float:
    """Of what is known, 0 if that is too little."""
    known = carry[np.isfinite(carry)]
    return float(known.mean()) if len(known) >= least else 0.0
