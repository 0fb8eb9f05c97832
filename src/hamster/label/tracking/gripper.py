"""The tip of a moving arm through a clip: silhouettes say where it is, points say how it moved in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.clip import Clip
from hamster.label.tracking.fuse import fuse
from hamster.label.tracking.opencv import opencv
from hamster.label.tracking.points import PointTracker
from hamster.label.tracking.silhouette import Mask, entry, silhouettes, tips

Array = NDArray[np.float64]
Click = tuple[int, float, float]
NEAR = 0.1  # of the longer side, from the tip: there points are taken, and by so much is a place a mistake
POINTS = 16
PRESENT = 0.05  # of what is near the tip belongs to an arm: it is there
MOVING_PX = 0.5  # per frame; slower points are not what moves


@dataclass(frozen=True, eq=False)
class Tip:
    """Attributes:
    px: (T, 2) on the clip's small frames.
    score: (T,) 0 to 1, how well what was seen agrees with it; frames without motion have their neighbours' score.
    seen: (T,) whether anything but background is there: an arm may come late and leave early.
    unsteady: share of a typical frame that differs from the background.
    masks: T of (h, w), what moved, and the arm.
    """

    px: Array
    score: Array
    seen: NDArray[np.bool_]
    unsteady: float
    masks: list[Mask]


def follow_gripper(clip: Clip, tracker: PointTracker, click: Click | None = None) -> Tip | None:
    """The motion of the gripper, or None if nothing moves.

    Args:
        click: (frame, u, v) relative: a point of the gripper that somebody marked; else the far end of what moves.
    """
    shapes = silhouettes(clip)
    masks = shapes.moving
    places, found = tips(masks, entry(masks))
    if found.sum() < 2:
        return None
    near = NEAR * clip.long_px
    every = np.arange(len(clip))
    guide = np.stack([np.interp(every, np.flatnonzero(found), column) for column in places[found].T], -1)
    guide = _median(guide, max(1, round(0.1 * clip.fps)))
    weight = found.astype(np.float64)
    if click is not None:
        guide, places, weight = _from_click(clip, tracker, masks, click, places, weight)
    steps, sure = _steps(clip, tracker, masks, guide)
    px, agree = fuse(places, 0.05 * weight, steps, sure, near / 2)
    seen = np.flatnonzero(found)
    score = np.interp(every, seen, agree[seen])
    hides = [moving | arm for moving, arm in zip(masks, shapes.arm, strict=True)]
    return Tip(px, score, _present(shapes.arm, px, found, near), shapes.unsteady, hides)


def _present(arm: list[Mask], px: Array, found: NDArray[np.bool_], near: float) -> NDArray[np.bool_]:
    """(T,) whether the arm is in the picture: between its first and last motion, and before and after if it rests."""
    present = np.zeros(len(px), bool)
    moving = np.flatnonzero(found)
    present[moving[0] : moving[-1] + 1] = True
    height, width = arm[0].shape
    reach = max(1, round(near))
    for t in np.flatnonzero(~present).tolist():
        u, v = np.clip(px[t].round().astype(int), 0, [width - 1, height - 1]).tolist()
        around = arm[t][max(v - reach, 0) : v + reach + 1, max(u - reach, 0) : u + reach + 1]
        present[t] = around.mean() > PRESENT
    return present


def _steps(clip: Clip, tracker: PointTracker, masks: list[Mask], guide: Array) -> tuple[Array, Array]:
    """(T - 1, 2) how the points near the tip moved, and (T - 1,) how sure that is."""
    steps, sure = np.zeros((len(clip) - 1, 2)), np.full(len(clip) - 1, 0.02)
    stretch = max(1, round(tracker.stretch_s * clip.fps))
    for start in range(0, len(clip) - 1, stretch):
        end = min(start + stretch, len(clip) - 1)
        first = next((t for t in range(start, end) if masks[t].any()), None)
        if first is None:
            continue
        px = points_near(clip, first, guide[first], masks[first])
        where, known = tracker(clip.rgb[first : end + 1], px)
        for t in range(first, end):
            step, share = _common(where[t - first : t - first + 2], known[t - first + 1])
            if share > 0:
                steps[t], sure[t] = step, max(share, 0.02)
    return steps, sure


def _common(where: Array, known: NDArray[np.bool_]) -> tuple[Array, float]:
    """The median step of the points that move, or of all where hardly any does, and their share."""
    moved = (where[1] - where[0])[known]
    if not len(moved):
        return np.zeros(2), 0.0
    moving = np.linalg.norm(moved, axis=-1) > MOVING_PX
    chosen = moved[moving] if moving.sum() >= max(3, 0.3 * len(moved)) else moved
    return np.median(chosen, axis=0), len(chosen) / len(known)


def points_near(clip: Clip, frame: int, centre: Array, mask: Mask) -> Array:
    """(N, 2) corners of the picture near a place, on what moves; a grid where there are no corners."""
    cv2 = opencv()
    near = np.zeros(mask.shape, np.uint8)
    cv2.circle(near, tuple(round(float(c)) for c in centre), round(NEAR * clip.long_px), 1, -1)
    wanted = near & mask.astype(np.uint8) if (near.astype(bool) & mask).sum() > POINTS else near
    grey = cv2.cvtColor(clip.rgb[frame], cv2.COLOR_RGB2GRAY)
    corners = cv2.goodFeaturesToTrack(grey, POINTS, 0.02, 3, mask=wanted)
    if corners is not None and len(corners) >= POINTS // 4:
        return np.asarray(corners[:, 0], np.float64)
    v, u = np.nonzero(wanted)
    chosen = np.linspace(0, len(u) - 1, POINTS).round().astype(int)
    return np.asarray(np.column_stack([u, v])[chosen], np.float64)


def _from_click(
    clip: Clip, tracker: PointTracker, masks: list[Mask], click: Click, places: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Guide, places and weights when a point of the gripper is known in one frame.

    The points around it are followed to both ends; silhouettes count where they end near there, moved by as much as
    the click is off their end.
    """
    frame, marked = min(click[0], len(clip) - 1), np.array(click[1:]) * clip.size_px
    guide = np.empty_like(places)
    guide[frame:] = _walk(clip, tracker, masks, frame, marked, 1)
    guide[frame::-1] = _walk(clip, tracker, masks, frame, marked, -1)
    near = np.linalg.norm(places - guide, axis=-1) < 2 * NEAR * clip.long_px
    offset = np.median((guide - places)[near & (weight > 0)], axis=0) if (near & (weight > 0)).any() else np.zeros(2)
    places, weight = places + offset, np.where(near, weight, 0.0)
    places[frame], weight[frame] = marked, 1e3
    return guide, places, weight


def _walk(clip: Clip, tracker: PointTracker, masks: list[Mask], frame: int, px: Array, direction: int) -> Array:
    """(n, 2) places from a frame on, in one direction of time, by the points around them alone."""
    order = np.arange(frame, len(clip) if direction > 0 else -1, direction)
    stretch = max(1, round(tracker.stretch_s * clip.fps))
    out = [px]
    for start in range(0, len(order) - 1, stretch):
        numbers = order[start : start + stretch + 1]
        where, known = tracker(clip.rgb[numbers], points_near(clip, int(numbers[0]), out[-1], masks[numbers[0]]))
        for i in range(1, len(numbers)):
            out.append(out[-1] + _common(where[i - 1 : i + 1], known[i])[0])
    return np.stack(out)


def _median(values: Array, half: int) -> Array:
    """A running median (T, D), symmetric."""
    padded = np.pad(values, ((half, half), (0, 0)), "edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, 0), axis=-1))
