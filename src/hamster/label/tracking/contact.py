"""What a tip did to the scene: where it has been, the picture is another one afterwards if it took or put something.

A camera that stands still sees each place before the tip comes and after it has left. If the two differ, something was
taken from there or put there. This needs no flow through the moment of contact, in which fingers hide everything, and
works at 5 frames a second as at 30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
CHANGED = 0.3  # of a patch's pixels
HIDDEN = 0.2  # of a patch's pixels, covered by what moves: the rest still tells


@dataclass(frozen=True)
class Visit:
    """Frames [start, end] in which the tip was where something changed; `sure` from 0 to 1."""

    start: int
    end: int
    sure: float


def changed(
    clip: Clip, px: Array, seen: NDArray[np.bool_], away_px: float, masks: Sequence[NDArray[np.bool_]]
) -> Array:
    """(T,) share of the patch under the tip that is another before the tip came and after it left, 0 if unknown.

    Args:
        px: (T, 2) the tip on the clip's small frames.
        seen: (T,) whether the tip is in the picture.
        away_px: at this distance the tip no longer hides a place.
        masks: (T) what moves, (h, w): where that covers a place, it hides it, too.
    """
    hidden = np.stack(masks)
    window = max(LOOKS, round(WINDOW_S * clip.fps))
    share = np.zeros(len(clip))
    for t in np.flatnonzero(seen).tolist():
        away = ~seen | (np.linalg.norm(px - px[t], axis=-1) > away_px)
        patch = _patch(clip, px[t])
        clear = away & (hidden[(slice(None), *patch)].mean((1, 2)) < HIDDEN)
        before, after = _looks(np.flatnonzero(clear[:t])[::-1], window), _looks(t + np.flatnonzero(clear[t:]), window)
        if len(before) and len(after):
            share[t] = _difference(clip.rgb[(slice(None), *patch)], before, after)
    return share


def visits(share: Array, seen: NDArray[np.bool_], fps: float, least: float = CHANGED) -> list[Visit]:
    """Stretches of frames with at least that share changed; one frame less in between does not end a stretch."""
    hot = share >= least
    gap = max(1, round(0.1 * fps))
    found: list[Visit] = []
    for t in np.flatnonzero(hot & seen).tolist():
        if found and t - found[-1].end <= gap + 1:
            found[-1] = Visit(found[-1].start, t, max(found[-1].sure, float(share[t])))
        else:
            found.append(Visit(t, t, float(share[t])))
    return found


def events_at(found: list[Visit], px: Array, fps: float, moved_px: float) -> list[Event]:
    """Each visit takes or puts something, in turn, where the tip is slowest; one that ends elsewhere does both."""
    events: list[Event] = []
    speed = smooth_speed(px, fps)
    for visit in found:
        holding = bool(events) and events[-1][1] is Gripper.CLOSED
        slow = visit.start + int(speed[visit.start : visit.end + 1].argmin())
        if not holding and np.linalg.norm(px[visit.end] - px[visit.start]) > moved_px:
            middle = (visit.start + visit.end) // 2
            take = visit.start + int(speed[visit.start : middle + 1].argmin())
            put = middle + 1 + int(speed[middle + 1 : visit.end + 1].argmin())
            events += [(take, Gripper.CLOSED), (put, Gripper.OPEN)]
        else:
            events.append((slow, Gripper.OPEN if holding else Gripper.CLOSED))
    return events


def smooth_speed(px: Array, fps: float) -> Array:
    """(T,) pixels per frame, central differences over about 0.2 s."""
    half = max(1, round(0.1 * fps))
    ahead = np.minimum(np.arange(len(px)) + half, len(px) - 1)
    behind = np.maximum(np.arange(len(px)) - half, 0)
    return np.asarray(np.linalg.norm(px[ahead] - px[behind], axis=-1) / np.maximum(ahead - behind, 1))


def _looks(frames: NDArray[np.intp], window: int) -> NDArray[np.intp]:
    """A few of the nearest frames."""
    near = frames[:window]
    return near[np.unique(np.linspace(0, len(near) - 1, LOOKS).round().astype(int))] if len(near) else near


def _patch(clip: Clip, centre: Array) -> tuple[slice, slice]:
    half = max(2, round(PATCH * clip.long_px))
    height, width = clip.rgb.shape[1:3]
    u, v = np.clip(centre.round().astype(int), [half, half], [width - half - 1, height - half - 1])
    return slice(int(v) - half, int(v) + half + 1), slice(int(u) - half, int(u) + half + 1)


def _difference(patch: NDArray[np.uint8], before: NDArray[np.intp], after: NDArray[np.intp]) -> float:
    gap = np.abs(patch[before][:, None].astype(np.int16) - patch[after][None])
    return float((gap.max(-1) > CONTRAST).mean((-2, -1)).min())
