"""Track the tip of a moving arm: silhouettes give its position, tracked points its displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.clip import Clip
from hamster.label.tracking.fuse import fuse
from hamster.label.tracking.opencv import opencv
from hamster.label.tracking.points import PointTracker
from hamster.label.tracking.silhouette import LEAST, Mask, Silhouettes, differs, entry, has_one_entry, silhouettes, tips
from hamster.label.tracking.witnesses import agreement, certainty

Array = NDArray[np.float64]
Click = tuple[int, float, float]
NEAR = 0.1  # of the longer side, from the tip: there points are taken, and by so much is a place a mistake
POINTS = 16
AT_TIP = 0.05  # of the longer side, from the tip: there a silhouette ends that is its own
PRESENT = 0.05  # of what is near the tip belongs to an arm: it is there
CHANGED = 0.1  # of what is near a tip that rests: there it does not rest
SPECK = 0.15  # of what typically moves: so little is something else
RESTING = 0.3  # of a typical arm: so much is seen of one that rests
MARGIN = 0.03  # of the longer side, from the image's border: there an arm ends that is cut off by it
MOVING_PX = 0.5  # per frame; slower points are not what moves


@dataclass(frozen=True, eq=False)
class Tip:
    """A gripper that was followed through a clip.

    Attributes:
        px: (T, 2) on the clip's small frames.
        score: (T,) 0 to 1, how well what was seen agrees with it; frames without motion have their neighbours' score.
        visible: (T,) whether anything but background is there: an arm may come late and leave early.
        unsteady: share of a typical frame that differs from the background.
        masks: T of (h, w), what moved, and the arm.
    """

    px: Array
    score: Array
    visible: NDArray[np.bool_]
    one_entry: bool
    unsteady: float
    moving: list[Mask]
    masks: list[Mask]


def follow_gripper(
    clip: Clip, tracker: PointTracker, click: Click | None = None, shapes: Silhouettes | None = None
) -> Tip | None:
    """Return the motion of the gripper, or None if nothing moves.

    Args:
        click: (frame, u, v) relative: a marked point of the gripper; else the far end of what moves.
        shapes: of the clip, where they are known already.
    """
    shapes = shapes or silhouettes(clip)
    masks = shapes.moving
    origin = entry(masks)
    places, has_tip = tips(masks, origin)
    if has_tip.sum() < 2:
        return None
    near = NEAR * clip.long_px
    every = np.arange(len(clip))
    guide = np.stack([np.interp(every, np.flatnonzero(has_tip), column) for column in places[has_tip].T], -1)
    guide = _median(guide, max(1, round(0.1 * clip.fps)))
    weight = has_tip.astype(np.float64)
    if click is not None:
        guide, places, weight = _from_click(clip, tracker, masks, click, places, weight)
    steps, sure = _steps(clip, tracker, masks, guide)
    score = agreement(guide, has_tip, steps, sure, clip.long_px, clip.fps)
    if click is None:
        score = score * certainty(masks, places, has_tip, origin)
    px, _ = fuse(places, 0.05 * weight, steps, sure, near / 2)
    hides = [moving | arm for moving, arm in zip(masks, shapes.arm, strict=True)]
    return Tip(
        px, score, _present(clip, masks, shapes.arm, places, px), has_one_entry(masks), shapes.unsteady, masks, hides
    )


def _present(clip: Clip, moving: list[Mask], arm: list[Mask], ends: Array, px: Array) -> NDArray[np.bool_]:
    """Return (T,) whether the tip is in the picture: it moves there, or rests where it moved before or will.

    An arm reaches the border, unless it never does: what flickers in the middle before it has come is none. One of
    which no more is seen than it takes to cross the border has its tip still outside.
    """
    margin, reach = MARGIN * clip.long_px, AT_TIP * clip.long_px
    inside = ((px >= margin) & (px <= clip.size_px - 1 - margin)).all(-1)
    areas = np.array([np.count_nonzero(mask) / mask.size for mask in moving])
    large = areas >= max(LEAST, SPECK * _typical(areas))
    free = not any(_at_border(mask) for mask in moving)
    comes_in = np.array([free or _at_border(m) or bool((m & a).any()) for m, a in zip(moving, arm, strict=True)])
    arms = np.array([np.count_nonzero(mask) / mask.size for mask in arm])
    there = arms >= max(LEAST, RESTING * _typical(arms[large]))
    moving_frames = np.flatnonzero(large & comes_in)
    at_tip = np.linalg.norm(ends - px, axis=-1) < reach
    present = inside & large & comes_in & at_tip
    for t in np.flatnonzero(inside & ~(large & comes_in)).tolist() if len(moving_frames) else []:
        after = int(np.searchsorted(moving_frames, t))
        v, u = _around(clip, px[t], reach)
        nearest = moving_frames[[max(after - 1, 0), min(after, len(moving_frames) - 1)]]
        rests = any(differs(clip.rgb[t, v, u], clip.rgb[n, v, u]).mean() < CHANGED for n in nearest if at_tip[n])
        present[t] = rests and there[t] and arm[t][_around(clip, px[t], 2 * reach)].mean() > PRESENT
    return np.asarray(present, bool)


def _typical(areas: Array) -> float:
    counted = areas[areas >= LEAST]
    return float(np.median(counted)) if len(counted) else 0.0


def _around(clip: Clip, px: Array, reach: float) -> tuple[slice, slice]:
    side = max(1, round(reach))
    u, v = np.clip(px.round().astype(int), 0, clip.size_px.astype(int) - 1).tolist()
    return slice(max(v - side, 0), v + side + 1), slice(max(u - side, 0), u + side + 1)


def _at_border(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _steps(clip: Clip, tracker: PointTracker, masks: list[Mask], guide: Array) -> tuple[Array, Array]:
    """Return (T - 1, 2) how the points near the tip moved, and (T - 1,) how sure that is."""
    steps, sure = np.zeros((len(clip) - 1, 2)), np.full(len(clip) - 1, 0.02)
    stretch = max(1, round(tracker.stretch_s * clip.fps))
    for start in range(0, len(clip) - 1, stretch):
        end = min(start + stretch, len(clip) - 1)
        first = next((t for t in range(start, end) if masks[t].any()), None)
        if first is None:
            continue
        px = points_near(clip, first, guide[first], masks[first])
        tracked_px, known = tracker(clip.rgb[first : end + 1], px)
        for t in range(first, end):
            step, share = _common(tracked_px[t - first : t - first + 2], known[t - first + 1])
            if share > 0:
                steps[t], sure[t] = step, max(share, 0.02)
    return steps, sure


def _common(tracked_px: Array, known: NDArray[np.bool_]) -> tuple[Array, float]:
    """Return the median step of the points that move, or of all where hardly any does, and their share."""
    moved = (tracked_px[1] - tracked_px[0])[known]
    if not len(moved):
        return np.zeros(2), 0.0
    moving = np.linalg.norm(moved, axis=-1) > MOVING_PX
    chosen = moved[moving] if moving.sum() >= max(3, 0.3 * len(moved)) else moved
    return np.median(chosen, axis=0), len(chosen) / len(known)


def points_near(clip: Clip, frame: int, centre: Array, mask: Mask) -> Array:
    """Return (N, 2) corners of the picture near a place, on what moves; a grid where there are no corners.

    Args:
        clip: of T frames.
        frame: its index.
        centre: (2,) pixels.
        mask: (h, w) of what moves.
    """
    cv2 = opencv()
    near = np.zeros(mask.shape, np.uint8)
    cv2.circle(near, tuple(round(float(c)) for c in centre), round(NEAR * clip.long_px), 1, -1)
    search_mask = near & mask.astype(np.uint8) if (near.astype(bool) & mask).sum() > POINTS else near
    grey = cv2.cvtColor(clip.rgb[frame], cv2.COLOR_RGB2GRAY)
    corners = cv2.goodFeaturesToTrack(grey, POINTS, 0.02, 3, mask=search_mask)
    if corners is not None and len(corners) >= POINTS // 4:
        return np.asarray(corners[:, 0], np.float64)
    v, u = np.nonzero(search_mask)
    chosen = np.linspace(0, len(u) - 1, POINTS).round().astype(int)
    return np.asarray(np.column_stack([u, v])[chosen], np.float64)


def _from_click(
    clip: Clip, tracker: PointTracker, masks: list[Mask], click: Click, places: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Return guide, places and weights when a point of the gripper is known in one frame.

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
    """Return (n, 2) places from a frame on, in one direction of time, by the points around them alone."""
    order = np.arange(frame, len(clip) if direction > 0 else -1, direction)
    stretch = max(1, round(tracker.stretch_s * clip.fps))
    out = [px]
    for start in range(0, len(order) - 1, stretch):
        numbers = order[start : start + stretch + 1]
        tracked_px, known = tracker(clip.rgb[numbers], points_near(clip, int(numbers[0]), out[-1], masks[numbers[0]]))
        for i in range(1, len(numbers)):
            out.append(out[-1] + _common(tracked_px[i - 1 : i + 1], known[i])[0])
    return np.stack(out)


def _median(values: Array, half: int) -> Array:
    """Return a running median (T, D), symmetric."""
    padded = np.pad(values, ((half, half), (0, 0)), "edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, 0), axis=-1))
