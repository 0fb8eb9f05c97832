"""What moves before a background that does not, and where it ends: a gripper is the far end of an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.clip import Clip
from hamster.label.tracking.opencv import opencv

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
PICTURES = 31  # whose median is the background
CONTRAST = 24  # of 255, by which a pixel has to differ, in any channel
STEP_S = 0.1  # over which motion is looked for
LEAST = 0.001  # of the pixels: fewer in motion are noise
MOST = 0.6  # of the pixels: if as many differ from the background, then it is the camera that moves
TOUCHING = 0.1  # of the frames with motion, in which a pixel of the border has to be in motion
FAR_END = 0.03  # of a silhouette's pixels, those farthest from where it comes in, are its tip


def background(clip: Clip) -> NDArray[np.uint8]:
    """(h, w, 3): the median of frames from all over the clip, in which an arm is somewhere else each time."""
    numbers = np.linspace(0, len(clip) - 1, min(PICTURES, len(clip))).round().astype(int)
    return np.median(clip.rgb[numbers], axis=0).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """Attributes:
    moving: T masks (h, w), the largest region in each frame that moves and differs from the background.
    other: T masks (h, w), all that differs from the background.
    """

    moving: list[Mask]
    other: list[Mask]


def silhouettes(clip: Clip) -> Silhouettes:
    """What is seen in front of the background in each frame, and what of that moves."""
    still, step, total = background(clip), max(1, round(STEP_S * clip.fps)), len(clip)
    other = [_differs(rgb, still) for rgb in clip.rgb]
    ahead = [_differs(clip.rgb[t], clip.rgb[min(t + step, total - 1)]) for t in range(total)]
    moving = [_largest((ahead[max(t - step, 0)] | ahead[t]) & other[t]) for t in range(total)]
    return Silhouettes(moving, other)


def entry(masks: list[Mask]) -> Array:
    """(2,) where an arm comes in over the image's border, in pixels.

    That is where most of what moves touches the border; or, if little does (a shoulder hardly moves), the place of
    the border that is nearest to it.
    """
    often = np.sum(masks, axis=0, dtype=np.float64)
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


def _heaviest_side(px: Array, weight: Array, width: int, height: int) -> Array:
    """The middle of what touches one side, the one that is touched most."""
    gaps = np.stack([px[:, 0], px[:, 1], width - 1 - px[:, 0], height - 1 - px[:, 1]])
    sides = [np.where(side == gaps.min(0), weight, 0.0) for side in gaps]
    heaviest = max(sides, key=lambda side: float(side.sum()))
    return np.asarray((px * heaviest[:, None]).sum(0) / heaviest.sum())


def tips(masks: list[Mask], origin: Array) -> tuple[Array, Mask]:
    """(T, 2) pixels of each silhouette's far end, seen from `origin`; and (T,) whether there is one."""
    px, found = np.zeros((len(masks), 2)), np.zeros(len(masks), bool)
    for t, mask in enumerate(masks):
        v, u = np.nonzero(mask)
        if len(u) < LEAST * mask.size:
            continue
        points = np.column_stack([u, v]).astype(np.float64)
        distance = np.linalg.norm(points - origin, axis=-1)
        points = points[distance >= np.quantile(distance, 1 - FAR_END)]
        px[t], found[t] = np.median(points, axis=0), True
    return px, found


def _differs(rgb: NDArray[Any], other: NDArray[Any]) -> Mask:
    cv2 = opencv()
    red, green, blue = cv2.split(cv2.absdiff(rgb, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue) > CONTRAST)


def _largest(mask: Mask) -> Mask:
    """The largest connected region, gaps of a few pixels closed."""
    cv2 = opencv()
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
