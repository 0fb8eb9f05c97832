"""Finds ink on a photograph: flat vivid colour in lines of one width, which photographs have little of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.thin import Mask, thin

Array = NDArray[np.float32]
Kind = Literal["colour", "vivid", "different"]
WINDOW_PX = 51  # of the median that looks past the strokes: wider than two of them
_MOST_PIECES = 150  # of one colour; noise has more
_WIDEST_PX = 40.0  # of an arrow's head


@dataclass(frozen=True, eq=False)
class Ink:
    """What was drawn in one colour.

    Attributes:
        mask: (H, W) bool.
        colour: (3,) RGB, 0 to 255.
        score: how much like ink it looks, 0 to 1.
        length_px: of all its lines.
        kind: one colour, everything vivid, or everything that differs from the clean picture.
    """

    mask: Mask
    colour: NDArray[np.float32]
    score: float
    length_px: float
    kind: Kind = "colour"


def find_inks(
    rgb: NDArray[np.uint8],
    behind: NDArray[np.uint8] | None = None,
    changed: Mask | None = None,
    siblings: Sequence[NDArray[np.uint8]] = (),
) -> list[Ink]:
    """What may be ink in a drawing (H, W, 3), by colour, the most ink-like first; candidates may overlap.

    Args:
        rgb: the picture that was drawn on, about 640 pixels wide.
        behind: what is behind the ink (H, W, 3), as far as somebody knows; a wide median otherwise.
        changed: (H, W) where the picture differs from others of the scene, which is where ink is; None if unknown.
        siblings: (H, W, 3) other drawings of the scene.
    """
    image = rgb.astype(np.float32)
    back = (cv2.medianBlur(rgb, WINDOW_PX) if behind is None else behind).astype(np.float32)
    near = None if changed is None else cv2.dilate(changed.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    bare = _bare(image, back, siblings)
    inks = [_of_colour(image, back, colour, near, bare) for colour in _colours(image, back, near)]
    if changed is not None and behind is not None:
        inks.append(_ink(image, changed, changed, near, bare, "different"))
    chroma = image.max(-1) - image.min(-1)
    vivid = (chroma > 110) & (np.linalg.norm(image - back, axis=-1) > 60)
    inks.append(_ink(image, vivid, chroma > 150, near, bare, "vivid"))
    return sorted((ink for ink in inks if ink.length_px >= 10), key=lambda ink: -ink.score)


def _bare(image: Array, back: Array, siblings: Sequence[NDArray[np.uint8]]) -> Mask:
    """Where a sibling has ink and this picture has not."""
    bare = np.zeros(image.shape[:2], bool)
    agreed = np.full(image.shape[:2], len(siblings) < 2)  # with another sibling that has none either
    for sibling in siblings:
        ink = sibling - back
        size2 = (ink**2).sum(-1)
        cover = ((image - back) * ink).sum(-1) / np.maximum(size2, 1)
        bare |= (size2 > 60**2) & (cover < 0.35) & (np.abs(image - sibling).max(-1) > 36)
        agreed |= np.abs(image - sibling).max(-1) < 25
    return np.asarray(bare & agreed)


def _colours(image: Array, back: Array, near: Mask | None) -> list[NDArray[np.float32]]:
    """The purest colour about each hue (15 degrees apart) of what stands out from its surroundings."""
    contrast = np.linalg.norm(image - back, axis=-1)
    chroma = image.max(-1) - image.min(-1)
    chosen = (contrast > 45) & (chroma > 45)
    if near is not None:
        chosen &= near
    pixels, chroma = image[chosen], chroma[chosen]
    if len(pixels) == 0:
        return []
    hues = cv2.cvtColor(pixels[None] / 255, cv2.COLOR_RGB2HSV)[0, :, 0]
    found: list[NDArray[np.float32]] = []
    for hue in range(0, 360, 15):
        alike = np.abs((hues - hue + 180) % 360 - 180) < 12
        if alike.sum() < 60:
            continue
        pure = alike & (chroma >= np.quantile(chroma[alike], 0.75))
        colour = np.median(pixels[pure], 0).astype(np.float32)
        if all(np.linalg.norm(colour - other) > 25 for other in found):
            found.append(colour)
    return found


def _of_colour(image: Array, back: Array, colour: NDArray[np.float32], near: Mask | None, bare: Mask) -> Ink:
    """Where a pixel is a mixture of the colour and of what is behind it."""
    towards = colour - back
    size2 = (towards**2).sum(-1)
    moved = image - back
    cover = (moved * towards).sum(-1) / np.maximum(size2, 1)
    apart = np.linalg.norm(moved - cover[..., None] * towards, axis=-1)
    limit = np.minimum(12 + 0.5 * np.sqrt(size2), 45)
    weak = (size2 > 32**2) & (cover > 0.45) & (cover < 1.4) & (apart < limit)
    return _ink(image, weak, np.linalg.norm(image - colour, axis=-1) < 60, near, bare, "colour", colour)


def _ink(
    image: Array,
    weak: Mask,
    strong: Mask,
    near: Mask | None,
    bare: Mask,
    kind: Kind,
    colour: NDArray[np.float32] | None = None,
) -> Ink:
    """The line-like pieces of a mask that are strong in some place."""
    closed = cv2.morphologyEx(weak.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    seeds = np.bincount(labels[strong & weak], minlength=n)
    depth = cv2.distanceTransform(np.pad(closed, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    mask = np.zeros(image.shape[:2], bool)
    length = likeness = 0.0
    for i in sorted(range(1, n), key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))[:_MOST_PIECES]:
        x, y, w, h, area = (int(v) for v in stats[i])
        if area < 12 or seeds[i] < 0.15 * area:
            continue
        box = np.s_[y : y + h, x : x + w]
        part = labels[box] == i
        if 2 * depth[box][part].max() > _WIDEST_PX or bare[box][part].mean() > 0.6:
            continue
        if near is not None and near[box][part].mean() < 0.5:
            continue
        lines = thin(part)
        if not lines.any():
            continue
        half = depth[box][lines]
        long, width = float(lines.sum()), 2 * float(np.median(half))
        if long < max(2 * width, 8):
            continue
        even = 1 / (1 + 2 * float(half.std() / half.mean()))
        flat = 1 / (1 + float(image[box][lines].std(0).mean()) / 40) if kind == "colour" else 0.7
        mask[box] |= part
        length += long
        likeness += long * even * flat
    score = likeness / max(length, 1)
    if colour is None:
        colour = np.median(image[mask], 0).astype(np.float32) if mask.any() else np.zeros(3, np.float32)
    else:
        score *= min(float(colour.max() - colour.min()) / 160, 1.0)
    return Ink(mask, colour, score, length, kind)
