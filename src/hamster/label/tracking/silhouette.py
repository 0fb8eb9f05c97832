"""Silhouettes that move before a static background, and their ends: a gripper is the far end of an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.lazy import evenly_spaced
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.opencv import opencv

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
PICTURES = 31  # whose median is the background
CONTRAST = 24  # of 255, by which a pixel has to differ, in any channel
STEP_S = 0.1  # over which motion is looked for
LEAST = 0.001  # of the pixels: fewer in motion are noise
MOST = 0.6  # of the pixels: if as many differ from the background, then it is the camera that moves
ENOUGH = 600  # pixels tell the shape of a silhouette
TOUCHING = 0.1  # of the frames with motion, in which a pixel of the border has to be in motion
ONE_SIDE = 0.6  # of the frames with motion, in which an arm that comes in over one side touches that side at least,
OTHER_SIDE = 0.5  # and every other side at most: else the far end is ambiguous
HAND = 0.2  # of a silhouette's pixels, those farthest from where it comes in, are a gripper or a hand,
FAR_END = 0.05  # and the foremost of those, of all its pixels, the tip


def background(clip: Clip) -> NDArray[np.uint8]:
    """Return (h, w, 3): the median of frames from all over the clip, in which an arm is somewhere else each time."""
    return np.asarray(np.median(clip.rgb[evenly_spaced(len(clip), PICTURES)], axis=0), np.uint8)


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """What moves in a clip.

    Attributes:
        moving: T masks (h, w), the largest region in each frame that moves and differs from the background.
        arm: T masks (h, w), what differs from the background, moving or not, and reaches the image's border.
        unsteady: share of a typical frame that differs from the background.
    """

    moving: list[Mask]
    arm: list[Mask]
    unsteady: float


def silhouettes(clip: Clip) -> Silhouettes:
    """Return what is seen in front of the background in each frame, and what of that moves."""
    still, step, total = background(clip), max(1, round(STEP_S * clip.fps)), len(clip)
    other = [differs(rgb, still) for rgb in clip.rgb]
    ahead = [differs(clip.rgb[t], clip.rgb[min(t + step, total - 1)]) for t in range(total)]
    moving = [_largest((ahead[max(t - step, 0)] | ahead[t]) & other[t]) for t in range(total)]
    return Silhouettes(moving, [attached(mask) for mask in other], float(np.median([mask.mean() for mask in other])))


def entry(masks: list[Mask]) -> Array:
    """Return (2,) where an arm comes in over the image's border, in pixels.

    That is where most of what moves touches the border; or, if little does (a shoulder hardly moves), the place of
    the border that is nearest to it.
    """
    often = np.asarray(np.sum(masks, axis=0), np.float64)
    height, width = often.shape
    v, u = np.nonzero(often)
    if not len(u):
        return np.array([width / 2, 0.0])
    border = (u == 0) | (v == 0) | (u == width - 1) | (v == height - 1)
    weight = np.where(border, often[v, u], 0.0)
    if weight.max() < TOUCHING * sum(bool(mask.any()) for mask in masks):
        nearest = np.minimum.reduce([u, v, width - 1 - u, height - 1 - v])
        weight = np.where(nearest == nearest.min(), often[v, u], 0.0)
    return _heaviest_side(np.column_stack([u, v]).astype(np.float64), weight, width, height)


def sides(masks: list[Mask]) -> Array:
    """Return (4,) in what share of the frames with motion the left, upper, right and lower side is touched."""
    touched = [[m[:, 0].any(), m[0].any(), m[:, -1].any(), m[-1].any()] for m in masks if m.any()]
    return np.asarray(np.mean(touched, axis=0)) if touched else np.zeros(4)


def has_one_entry(masks: list[Mask]) -> bool:
    """Return whether what moves comes in over one side of the image, or over none at all."""
    second, first = np.sort(sides(masks))[-2:]
    return bool(first < TOUCHING or (first >= ONE_SIDE and second <= OTHER_SIDE))


def _heaviest_side(px: Array, weight: Array, width: int, height: int) -> Array:
    """Return the middle of what touches one side, the one that is touched most."""
    gaps = np.stack([px[:, 0], px[:, 1], width - 1 - px[:, 0], height - 1 - px[:, 1]])
    sides = [np.where(side == gaps.min(0), weight, 0.0) for side in gaps]
    heaviest = max(sides, key=lambda side: float(side.sum()))
    return np.asarray((px * heaviest[:, None]).sum(0) / heaviest.sum())


def tips(masks: list[Mask], origin: Array) -> tuple[Array, Mask]:
    """Return (T, 2) pixels of each silhouette's far end, seen from `origin`; and (T,) whether there is one."""
    px, is_known = np.zeros((len(masks), 2)), np.zeros(len(masks), bool)
    for t, mask in enumerate(masks):
        v, u = np.nonzero(mask)
        if len(u) < LEAST * mask.size:
            continue
        thin = max(1, len(u) // ENOUGH)
        px[t], is_known[t] = _far_end(np.column_stack([u[::thin], v[::thin]]).astype(np.float64), origin), True
    return px, is_known


def _far_end(points: Array, origin: Array) -> Array:
    """Return (2,) the end of a silhouette (N, 2): its farthest points along the way it points there, in their middle.

    In the middle of the outermost ones, not at their mean: of two fingers, one may be seen better.
    """
    distance = ((points - origin) ** 2).sum(-1)
    hand = points[np.argpartition(distance, -_part(HAND, points))[-_part(HAND, points) :]]
    along = hand.mean(0) - points.mean(0)
    along = along / max(float(np.hypot(*along)), 1e-9)
    end = hand[np.argsort(hand @ along)[-_part(FAR_END, points) :]]
    sideways = np.array([-along[1], along[0]])
    across = np.sort(end @ sideways)
    inner = len(across) // 20  # one pixel alone is no finger
    middle = (across[inner] + across[-1 - inner]) / 2
    return np.asarray((end[3 * len(end) // 4] @ along) * along + middle * sideways)


def _part(share: float, points: Array) -> int:
    return max(1, round(share * len(points)))


def differs(rgb: NDArray[Any], other: NDArray[Any]) -> Mask:
    """Return (h, w) whether two images of one size differ by more than noise, in any channel."""
    cv2 = opencv()
    red, green, blue = cv2.split(cv2.absdiff(rgb, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue) > CONTRAST)


def attached(mask: Mask) -> Mask:
    """Return the regions that touch the border: a thing that was put down stands free."""
    cv2 = opencv()
    _, labels = cv2.connectedComponents(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)))
    kept = np.zeros(int(labels.max()) + 1, bool)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        kept[side] = True
    kept[0] = False
    return np.asarray(kept[labels])


def _largest(mask: Mask) -> Mask:
    """Return the largest connected region, gaps of a few pixels closed."""
    cv2 = opencv()
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
