"""Grasps and releases of a hand: an object leaves its place at one moment and arrives elsewhere at another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.arm import arms, hidden
from hamster.label.hands.frame_difference import CELLS, CONTRAST, FrameDifference, frame_difference
from hamster.label.hands.motion import Motion
from hamster.label.track2d import Event
from hamster.label.tracking.clip import Clip
from hamster.path import Gripper

Array = NDArray[np.float64]
LEAST = 0.2  # palms squared of the scene that have to change at a moment: the half of a lemon
WEAK = 0.6  # palms squared: so little counts only if the fingers close or open, too
FILLED = 0.85  # of all that is near the fingers changes at once: it is larger than a hand holds, and pushed
MINOR = 0.15  # of the most that changes at a moment: less is its shadow
FIT = 0.7  # of the cells that change at a moment agree on it
ONE_PLACE = 2.0  # palms between two moments: what is turned, or set upright, changes one place several times
TOUCH = 1.5  # palms from what changes: so near was the hand when it had hold of it
LEFT = 2.5  # palms from it: the hand has left it, and does not hold it a little farther up
SAME_REST = 0.3  # palms: the tip has not moved
AT_REST = 0.1  # palms: it has not begun to move
LOW, HIGH = 0.2, 0.4  # of the range of apertures: closed below, open above
LEAST_SIGHTS = 10  # frames with landmarks: of fewer there are no percentiles
LEAST_RANGE = 0.35  # palms between the widest and the narrowest aperture: less is no grasp
NEAR_S = 0.4  # between two signs of one event


@dataclass(frozen=True, eq=False)
class Moment:
    """Something changes after frame `start` and up to frame `end`.

    Attributes:
        px: (2,) the middle of what changes.
        palms: how large it is, in palms squared.
        cells: (N,) which of the changes these are.
        filled: share of all that is near the fingers then.
    """

    start: int
    end: int
    px: Array
    palms: float
    cells: NDArray[np.intp]
    filled: float


@dataclass(frozen=True, eq=False)
class Sign:
    """An event, and the place of what was taken or put, on the clip's frames."""

    event: Event
    px: Array


def hand_events(clip: Clip, motion: Motion) -> list[Sign] | str:
    """Return grasps and releases in turn, none where something is pushed; or the reason why they are unclear."""
    differences = frame_difference(clip, motion, hidden(motion, arms(clip)))
    fingers = [t for t, _ in aperture_events(motion.aperture, motion.landmarked)]
    reach = max(1, round(NEAR_S * clip.fps))
    moments = [
        m
        for m in find_moments(differences, len(clip), (motion.palm_px * CELLS / clip.long_px) ** 2)
        if m.palms >= WEAK or any(m.start - reach <= t <= m.end + reach for t in fingers)
    ]
    if not moments:
        return []
    if max(m.filled for m in moments) > FILLED:
        return "a thing larger than a hand moves while the fingers close: pulled or pushed?" if fingers else []
    sights = np.flatnonzero(motion.visible)
    # What changes with the hand's own coming and going is the hand, which is not yet or no longer recognised.
    moments = [m for m in moments if m.end > sights[0] and m.start < sights[-1]]
    if not moments:
        return []
    middles = np.stack([m.px for m in moments])
    if np.ptp(middles, axis=0).max() < ONE_PLACE * motion.palm_px:
        return _at_one_place(differences, moments, motion)
    if len(moments) > 2:
        return f"{len(moments)} changes where the hand has been: more than one thing is moved, or one more than once"
    taken, put = moments
    if _stood_out(differences, taken) < 0 and _stood_out(differences, put) > 0:
        return "where the hand has been things change, but none leaves its place first and arrives at another then"
    return [_sign(taken, motion, Gripper.CLOSED), _sign(put, motion, Gripper.OPEN)]


def find_moments(differences: FrameDifference, total: int, palm_cells: float) -> list[Moment]:
    """Return the few moments that account for what changed, in order of time; found greedily, the largest first.

    A cell votes for each step from a frame to the next in which it may have changed while the hand was near, with a
    weight that is the smaller the less it knows.

    Args:
        total: frames.
        palm_cells: cells in the square of a palm.
    """
    steps = np.arange(total - 1)
    at = (differences.last[:, None] <= steps) & (steps < differences.first[:, None])
    at &= differences.near[:, :-1] | differences.near[:, 1:]
    weight = at / np.maximum(at.sum(1, keepdims=True), 1)
    moments: list[Moment] = []
    left = np.ones(len(differences), bool)
    while left.any():
        best = int(weight[left].sum(0).argmax())
        chosen = np.flatnonzero(left & at[:, best])
        palms = len(chosen) / palm_cells
        if palms < max(LEAST, MINOR * moments[0].palms if moments else 0.0):
            break
        start, end = _window(at[chosen].mean(0) >= FIT, best)
        filled = len(chosen) / max(int(differences.reached[start : end + 2].max()), 1)
        moments.append(Moment(start, end + 1, np.median(differences.px[chosen], axis=0), palms, chosen, filled))
        left &= ~at[:, start : end + 1].any(1)
    return sorted(moments, key=lambda moment: moment.start)


def aperture_events(aperture: Array, visible: NDArray[np.bool_]) -> list[Event]:
    """Return (frame, new state) where the fingers close or open, on a scale of percentiles, robust to outliers."""
    if visible.sum() < LEAST_SIGHTS:
        return []
    narrow, wide = np.percentile(aperture[visible], [5, 95])
    if wide - narrow < LEAST_RANGE:
        return []
    low, high = narrow + LOW * (wide - narrow), narrow + HIGH * (wide - narrow)
    events: list[Event] = []
    state = Gripper.UNKNOWN
    for t in np.flatnonzero(visible).tolist():
        now = Gripper.CLOSED if aperture[t] < low else Gripper.OPEN if aperture[t] > high else state
        if now is not state and state is not Gripper.UNKNOWN:
            events.append((t, now))
        state = now
    return events


def _window(agree: NDArray[np.bool_], best: int) -> tuple[int, int]:
    start = end = best
    while start > 0 and agree[start - 1]:
        start -= 1
    while end + 1 < len(agree) and agree[end + 1]:
        end += 1
    return start, end


def _at_one_place(differences: FrameDifference, moments: list[Moment], motion: Motion) -> list[Sign] | str:
    """Return the events where one place changed, once or several times: taken away, or taken and put back.

    In the last case the same colours are there before and after. What was brought was taken out of view.
    """
    cells = np.unique(np.concatenate([m.cells for m in moments]))
    before, after = differences.before[cells], differences.after[cells]
    if _shared(before, after) and _shared(after, before):
        middle = np.mean([m.px for m in moments], axis=0)
        near = np.linalg.norm(motion.tip_px - middle, axis=-1) < TOUCH * motion.palm_px
        held = np.flatnonzero(near & motion.landmarked)
        grasp, release = held[held >= moments[0].start][:1], held[held >= moments[0].start][-1:]
        if not len(grasp) or not 0 < grasp[0] < release[0]:
            return "a thing changes its pose, but the hand is not seen to come to it and to leave it"
        far = np.linalg.norm(motion.tip_px - middle, axis=-1) > LEFT * motion.palm_px
        if (far | ~motion.visible)[release[0] + 1 :].any():  # else the clip ends with it in the hand
            events: Sequence[Event] = ((int(grasp[0]), Gripper.CLOSED), (int(release[0]), Gripper.OPEN))
            return [Sign(event, middle) for event in events]
    if sum(_stood_out(differences, m) * m.palms for m in moments) > 0:
        return [_sign(moments[0], motion, Gripper.CLOSED)]
    return "something is put down that was not seen to be taken"


def _stood_out(differences: FrameDifference, moment: Moment) -> float:
    """Return above 0 if the place differed from its surroundings before the change, below 0 if it does so after."""
    before, after, around = (
        differences.before[moment.cells],
        differences.after[moment.cells],
        differences.around[moment.cells],
    )
    return float(np.abs(before - around).max(-1).mean() - np.abs(after - around).max(-1).mean())


def _shared(these: NDArray[np.float32], those: NDArray[np.float32]) -> bool:
    """Return whether most of the first colours are among the second ones."""
    apart = np.abs(these[:, None] - those[None]).max(-1).min(1)
    return bool((apart < CONTRAST).mean() > 0.5)


def _sign(moment: Moment, motion: Motion, state: Gripper) -> Sign:
    """Return the event in the nearest rest of the tip: its last frame for a grasp, its first one for a release."""
    frames = np.arange(moment.start, moment.end + 1)
    frames = frames[motion.visible[frames]] if motion.visible[frames].any() else frames
    far = np.linalg.norm(motion.tip_px[frames] - moment.px, axis=-1)
    rest = frames[far <= far.min() + SAME_REST * motion.palm_px]
    frame = int(rest[-1] if state is Gripper.CLOSED else rest[0])
    # What is taken moves when the hand starts to move with it, and what is put lies from where the hand stops on.
    step = 1 if state is Gripper.CLOSED else -1
    place = motion.tip_px[frame]
    while 0 <= frame + step < len(motion.visible) and motion.visible[frame + step]:
        if np.linalg.norm(motion.tip_px[frame + step] - place) > AT_REST * motion.palm_px:
            break
        frame += step
    return Sign((frame, state), moment.px)
