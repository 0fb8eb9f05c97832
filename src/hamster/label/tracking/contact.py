"""Grasps and releases of a tip by changes of the scene: where it took or put something, the image differs afterwards.

A camera that stands still sees each place before the tip comes and after it has left. If the two differ, something was
taken from there or put there. This needs no flow through the moment of contact, in which fingers hide everything, and
works at 5 frames a second as at 30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from hamster.label.track2d import Event
from hamster.label.tracking.clip import Clip
from hamster.path import Gripper

Array = NDArray[np.float64]
LOOKS = 6  # pictures before and after, of which the two most alike count: in some an arm is in the way
WINDOW_S = 1.5  # in which they are taken
CONTRAST = 28  # of 255, by which a pixel has to differ, in any channel: more than noise and most shadows
PATCH = 0.035  # half the side of the patch, of the image's longer side
RATE = 15.0  # frames per second that are looked at
CHANGED = 0.3  # of a patch's pixels
SLOW = 0.2  # of a fast motion's speed: a rest
HIDDEN = 0.2  # of a patch's pixels, covered by what moves: the rest still tells


@dataclass(frozen=True)
class Visit:
    """Frames [start, end] in which the tip was where something changed; `sure` from 0 to 1."""

    start: int
    end: int
    sure: float


def changed(
    clip: Clip, px: Array, visible: NDArray[np.bool_], away_px: float, masks: Sequence[NDArray[np.bool_]]
) -> Array:
    """Return (T,) share of the patch under the tip that is another before the tip came and after it left, 0 if unknown.

    Args:
        px: (T, 2) the tip on the clip's small frames.
        visible: (T,) whether the tip is in the picture.
        away_px: at this distance the tip no longer hides a place.
        masks: (T) what moves, (h, w): where that covers a place, it hides it, too.
    """
    window = max(LOOKS, round(WINDOW_S * clip.fps))
    share = np.zeros(len(clip))
    step = max(1, round(clip.fps / RATE))
    for t in np.flatnonzero(visible).tolist():
        if t % step and t:
            share[t] = share[t - 1]
            continue
        away = ~visible | (((px - px[t]) ** 2).sum(-1) > away_px**2)
        patch = _patch(clip, px[t])
        before = _looks(np.flatnonzero(away[:t])[::-1][:window].tolist(), masks, patch)
        after = _looks((t + np.flatnonzero(away[t:]))[:window].tolist(), masks, patch)
        if before and after:
            share[t] = _difference(clip.rgb[(slice(None), *patch)], before, after)
    return share


def visits(share: Array, visible: NDArray[np.bool_], fps: float, least: float = CHANGED) -> list[Visit]:
    """Return stretches of frames with at least that share changed; one frame less in between does not end a stretch.

    Args:
        share: (T,) of the patch under the tip that changed.
        visible: (T,) whether the tip is in the picture.
        fps: frames per second.
        least: share that counts as changed.
    """
    hot = share >= least
    gap = max(1, round(0.1 * fps))
    merged: list[Visit] = []
    for t in np.flatnonzero(hot & visible).tolist():
        if merged and t - merged[-1].end <= gap + 1:
            merged[-1] = Visit(merged[-1].start, t, max(merged[-1].sure, float(share[t])))
        else:
            merged.append(Visit(t, t, float(share[t])))
    return merged


def events_at(tip_visits: list[Visit], px: Array, fps: float, moved_px: float, held: bool = False) -> list[Event]:
    """Return the events of visits, in turn, where the tip rests; a visit that ends far from its start has both.

    `held` says that there is something in the hand from the first frame on.

    Args:
        tip_visits: in order of time.
        px: (T, 2) the tip.
        fps: frames per second.
        moved_px: distance by which a visit's end must be off its start for a carried thing.
        held: whether something is in the hand from the first frame on.
    """
    events: list[Event] = [(-1, Gripper.CLOSED)] if held else []
    speed = smooth_speed(px, fps)
    for visit in tip_visits:
        holding = bool(events) and events[-1][1] is Gripper.CLOSED
        if holding:
            events.append((_rest(speed, visit.start, visit.end)[0], Gripper.OPEN))
        elif np.linalg.norm(px[visit.end] - px[visit.start]) > moved_px:
            middle = (visit.start + visit.end) // 2
            events.append((_rest(speed, visit.start, middle)[1], Gripper.CLOSED))
            events.append((_rest(speed, middle + 1, visit.end)[0], Gripper.OPEN))
        else:
            events.append((_rest(speed, visit.start, visit.end)[1], Gripper.CLOSED))
    return events


def _rest(speed: Array, start: int, end: int) -> tuple[int, int]:
    """Return the first and last frame of the rest, within these frames, in which the tip is slowest.

    What it takes starts to move with it at the end of a rest; what it puts lies still from the start of one.
    """
    slowest = start + int(speed[start : end + 1].argmin())
    limit = max(1.2 * float(speed[slowest]), SLOW * float(np.quantile(speed, 0.75)))
    first = last = slowest
    while first > start and speed[first - 1] <= limit:
        first -= 1
    while last < end and speed[last + 1] <= limit:
        last += 1
    return first, last


def smooth_speed(px: Array, fps: float) -> Array:
    """Return (T,) pixels per frame, central differences over about 0.1 s."""
    half = max(1, round(0.05 * fps))
    ahead = np.minimum(np.arange(len(px)) + half, len(px) - 1)
    behind = np.maximum(np.arange(len(px)) - half, 0)
    return np.asarray(np.linalg.norm(px[ahead] - px[behind], axis=-1) / np.maximum(ahead - behind, 1))


def _looks(frames: list[int], masks: Sequence[NDArray[np.bool_]], patch: tuple[slice, slice]) -> list[int]:
    """Return a few of these frames, in which nothing hides the patch."""
    some = frames[:: max(1, len(frames) // (2 * LOOKS))]
    clear = (t for t in some if (part := masks[t][patch]).size * HIDDEN > np.count_nonzero(part))
    return list(islice(clear, LOOKS))


def _patch(clip: Clip, centre: Array) -> tuple[slice, slice]:
    half = max(2, round(PATCH * clip.long_px))
    height, width = clip.rgb.shape[1:3]
    u, v = np.clip(centre.round().astype(int), [half, half], [width - half - 1, height - half - 1])
    return slice(int(v) - half, int(v) + half + 1), slice(int(u) - half, int(u) + half + 1)


def _difference(patch: NDArray[np.uint8], before: list[int], after: list[int]) -> float:
    gap = np.abs(patch[before][:, None].astype(np.int16) - patch[after][None])
    return float((gap.max(-1) > CONTRAST).mean((-2, -1)).min())
