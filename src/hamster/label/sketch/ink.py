"""Find ink on a photograph: flat vivid colour in lines of one width, which photographs have little of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.skeletonize import Mask

Array = NDArray[np.float32]
Kind = Literal["colour", "vivid", "different"]
_LEAST_CONTRAST = 14.0  # RGB distance from what is behind; less is no mixture with any ink
_LONGEST_PX = 2000.0  # of all lines of a colour; more is texture
_PURE = 0.5  # of how much like ink the clearest piece is
_WIDEST_PX = 60.0  # of an arrow's head
_CORE = 32.0  # RGB distance from an ink's colour within which a pixel is nothing but ink
_RIM = np.ones((13, 13), np.uint8)  # around such pixels, where ink mixes with what is behind it
_FAR = 0.1  # of a mask's pixels; with more of them outside of that, some may be of something else
_LESS_WHOLE = 0.8  # what a part of an ink counts for, next to the whole
_NEXT = np.ones((49, 49), np.uint8)  # how far the next dash may be
_DASHES = 3  # pieces at least that a dashed line has
_VIVID = 110.0  # the least difference of channels of what is vivid
_MOST_OF = 0.4  # of the pure ink is vivid, if any is
_SMALLEST = 60  # pixels of ink
_LEAST_HOLE, _MOST_HOLES = 40, 8  # pixels, and how many are looked at
_FILLED = 0.25  # of a mask; with so much of it in holes, their colour is the ink's
_PURER = 1.25  # by how much a wide head is, than its rim that mixes with what is behind it
_FLAT = 32.0  # RGB distance from the usual colour of a hole within which it is one colour: no thing, but ink
_SAME = 70.0  # RGB distance from an ink's colour, as far as it is known, within which a hole in it is filled
_LEAST_CORE = 0.05  # of a piece; what has less is of another colour throughout


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


@dataclass(frozen=True, eq=False)
class _Picture:
    """What all colours are looked for in.

    Attributes:
        image, back: (H, W, 3) the picture, and what is behind the ink.
        at: (N,) flat indices of the pixels that stand out from that; no other is ink.
        moved: (N, 3) how far they do.
        near: (H, W) where ink may be, None if anywhere; bare: where it cannot be.
        vivid: (H, W) what stands out and has a strong colour; hue: (H, W) degrees.
    """

    image: Array
    back: Array
    at: NDArray[np.intp]
    moved: Array
    near: Mask | None
    bare: Mask
    vivid: Mask
    hue: Array

    def spread(self, chosen: NDArray[np.bool_]) -> Mask:
        """Return (H, W) from (N,)."""
        mask = np.zeros(self.image.shape[:2], bool)
        mask.reshape(-1)[self.at[chosen]] = True
        return mask


def find_inks(
    rgb: NDArray[np.uint8],
    behind: NDArray[np.uint8] | None = None,
    changed: Mask | None = None,
    siblings: Sequence[NDArray[np.uint8]] = (),
    window_px: int = 51,
) -> list[Ink]:
    """Return what may be ink in a drawing (H, W, 3), by colour, the most ink-like first; candidates may overlap.

    Args:
        rgb: the picture that was drawn on, about 640 pixels wide.
        behind: what is behind the ink (H, W, 3), where known; a wide median otherwise.
        changed: (H, W) where the picture differs from others of the scene, which is where ink is; None if unknown.
        siblings: (H, W, 3) other drawings of the scene.
        window_px: of the median, odd; wider than two strokes.
    """
    image = rgb.astype(np.float32)
    back = (cv2.medianBlur(rgb, window_px) if behind is None else behind).astype(np.float32)
    near = None if changed is None else cv2.dilate(changed.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    moved = (image - back).reshape(-1, 3)
    at = np.flatnonzero(_size2(moved) > _LEAST_CONTRAST**2)
    vivid = (_chroma(image) > _VIVID) & (_size2(moved).reshape(image.shape[:2]) > 60**2)
    hue = cv2.cvtColor(image / 255, cv2.COLOR_RGB2HSV)[..., 0]
    picture = _Picture(image, back, at, moved[at], near, _bare(image, back, siblings), vivid, hue)
    inks = [ink for colour in _colours(picture) for ink in _of_colour(picture, colour)]
    if changed is not None and behind is not None:
        inks.append(_ink(picture, changed, changed, "different"))
    inks.append(_vivid(picture))
    return sorted((ink for ink in inks if 10 <= ink.length_px <= _LONGEST_PX), key=lambda ink: -ink.score)


def _size2(vectors: Array) -> Array:
    """Return the squared lengths of (..., 3)."""
    return np.asarray(np.einsum("...i,...i", vectors, vectors), np.float32)


def _chroma(colours: Array) -> Array:
    return np.asarray(colours.max(-1) - colours.min(-1))


def _hue(colours: Array) -> Array:
    """Return (N,) degrees, of colours (N, 3)."""
    return np.asarray(cv2.cvtColor(colours[None] / 255, cv2.COLOR_RGB2HSV)[0, :, 0])


def _bare(image: Array, back: Array, siblings: Sequence[NDArray[np.uint8]]) -> Mask:
    """Return where a sibling has ink and this picture has not."""
    bare = np.zeros(image.shape[:2], bool)
    agreed = np.full(image.shape[:2], len(siblings) < 2)  # with another sibling that has none either
    for sibling in siblings:
        ink = sibling - back
        size2 = _size2(ink)
        cover = np.einsum("...i,...i", image - back, ink) / np.maximum(size2, 1)
        apart = np.abs(image - sibling).max(-1)
        bare |= (size2 > 60**2) & (cover < 0.35) & (apart > 36)
        agreed |= apart < 25
    return np.asarray(bare & agreed)


def _colours(picture: _Picture) -> list[NDArray[np.float32]]:
    """Return the purest colour about each hue (15 degrees apart) of what stands out from its surroundings."""
    pixels = picture.image.reshape(-1, 3)[picture.at]
    chroma = _chroma(pixels)
    chosen = (_size2(picture.moved) > 45**2) & (chroma > 45)
    if picture.near is not None:
        chosen &= picture.near.reshape(-1)[picture.at]
    pixels, chroma = pixels[chosen], chroma[chosen]
    if len(pixels) == 0:
        return []
    hues = _hue(pixels)
    purest: list[NDArray[np.float32]] = []
    for hue in range(0, 360, 15):
        alike = np.abs((hues - hue + 180) % 360 - 180) < 12
        if alike.sum() < 60:
            continue
        pure = alike & (chroma >= np.quantile(chroma[alike], 0.75))
        colour = np.median(pixels[pure], 0).astype(np.float32)
        if all(np.linalg.norm(colour - other) > 25 for other in purest):
            purest.append(colour)
    return purest


def _of_colour(picture: _Picture, colour: NDArray[np.float32]) -> list[Ink]:
    """Return where pixels mix the colour with the background; near pure or vivid ink only."""
    moved = picture.moved
    towards = colour - picture.back.reshape(-1, 3)[picture.at]
    size2 = _size2(towards)
    cover = np.einsum("ni,ni->n", moved, towards) / np.maximum(size2, 1)
    apart2 = _size2(moved - cover[:, None] * towards)
    limit = np.minimum(12 + 0.5 * np.sqrt(size2), 45)
    weak = (size2 > 32**2) & (cover > 0.45) & (cover < 1.4) & (apart2 < limit**2)
    missing2 = _size2(moved - towards)
    core = picture.spread(weak & (missing2 < _CORE**2))
    strong = picture.spread(weak & (missing2 < 60**2))
    mask = picture.spread(weak)
    inside = _inside(picture, mask, colour)
    if inside.any():
        mask, core, strong = mask | inside, core | inside, strong | inside
        if inside.sum() > _FILLED * mask.sum():
            colour = np.median(picture.image[inside], 0).astype(np.float32)  # purer than the rim
    loose = _ink(picture, mask, strong, "colour", colour, core)
    beside = cv2.dilate(core.astype(np.uint8), _RIM) > 0
    inks = [loose]
    if (loose.mask & ~beside).sum() >= _FAR * loose.mask.sum():
        inks.append(_ink(picture, mask & beside, strong & beside, "colour", colour, core))
    cut = _cut(mask, core, picture.near)
    if cut is not None:
        inks.append(_ink(picture, cut & beside, strong & cut & beside, "colour", colour, core))
    # Drawn on a thing of the same hue, which is duller.
    if _chroma(colour) > _VIVID and (loose.mask & ~picture.vivid).sum() >= _FAR * loose.mask.sum():
        alike = picture.vivid & (np.abs((picture.hue - _hue(colour[None]) + 180) % 360 - 180) < 20)
        if alike.sum() > _SMALLEST and (alike & core).sum() > _MOST_OF * core.sum():
            inks.append(_ink(picture, alike, alike & strong, "colour", colour))
    return [loose, *(replace(ink, score=_LESS_WHOLE * ink.score) for ink in inks[1:])]


def _inside(picture: _Picture, mask: Mask, colour: NDArray[np.float32]) -> Mask:
    """Return the holes (H, W) of a mask that have its colour: a filled arrowhead hides the background of the median."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    area = stats[:, cv2.CC_STAT_AREA]
    inside = np.zeros_like(mask)
    holes = np.flatnonzero((area >= _LEAST_HOLE) & (area <= _WIDEST_PX**2 / 4))
    for hole in sorted(holes.tolist(), key=lambda i: -int(area[i]))[:_MOST_HOLES]:
        x, y, w, h = stats[hole, : cv2.CC_STAT_AREA]
        box = np.s_[y : y + h, x : x + w]
        here = labels[box] == hole
        pixels = picture.image[box][here]
        usual = np.median(pixels, 0).astype(np.float32)
        if _chroma(usual) < _PURER * _chroma(colour) or _size2(usual - colour) > _SAME**2:
            continue
        apart = abs(float((_hue(usual[None]) - _hue(colour[None]) + 180)[0] % 360 - 180))
        if apart < 25 and (_size2(pixels - usual) < _FLAT**2).mean() > 0.75:
            inside[box] |= here
    return inside


def _vivid(picture: _Picture) -> Ink:
    return _ink(picture, picture.vivid, picture.vivid & (_chroma(picture.image) > 150), "vivid")


def _ink(
    picture: _Picture,
    weak: Mask,
    strong: Mask,
    kind: Kind,
    colour: NDArray[np.float32] | None = None,
    core: Mask | None = None,
) -> Ink:
    """Return the line-like pieces of a mask that are strong in some place, and nothing but ink in a few (`core`)."""
    closed = cv2.morphologyEx(weak.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    depth = cv2.distanceTransform(np.pad(closed, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    ridge = np.flatnonzero((closed > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))))
    piece, half = labels.reshape(-1)[ridge], depth.reshape(-1)[ridge]
    mean, spread = _by_piece(half, piece, n)
    widest = np.zeros(n)
    np.maximum.at(widest, piece, half)
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    length = area / np.maximum(2 * mean - 0.5, 1)

    def share(mask: Mask) -> NDArray[np.float64]:
        return np.asarray(np.bincount(labels[mask], minlength=n) / np.maximum(area, 1))

    kept = (np.arange(n) > 0) & (area >= 12) & (length >= np.maximum(4 * mean, 8)) & (2 * widest <= _WIDEST_PX)
    kept &= (share(strong) >= 0.15) & (share(picture.bare) <= 0.6)
    if core is not None:  # A thin line may nowhere be pure where its head is.
        heads = (np.arange(n) > 0) & (area >= _SMALLEST) & (2 * widest <= _WIDEST_PX) & (share(core) > 0.5)
        beside = cv2.dilate(heads[labels].astype(np.uint8), _RIM) > 0
        kept &= (share(core) >= _LEAST_CORE) | ((share(strong) > 0.5) & (share(beside) > 0))
    if picture.near is not None:
        kept &= share(picture.near) >= 0.5
    likeness = 1 / (1 + 2 * spread / np.maximum(mean, 1)) * _flat(picture, ridge, piece, n, kind)
    if kept.any():  # What looks less like ink than the clearest piece is something of that colour in the picture.
        pure = likeness * share(strong)
        kept &= pure >= _PURE * pure[np.argmax(np.where(kept, pure * length, 0))]
    if (
        core is not None and kept.any()
    ):  # Heads of dashed arrows are no lines, but nothing else of that colour is there.
        near = cv2.dilate(kept[labels].astype(np.uint8), _NEXT) > 0
        kept |= (np.arange(n) > 0) & (area >= 12) & (2 * widest <= _WIDEST_PX) & (share(core) > 0.5) & (share(near) > 0)
    total = float(length[kept].sum())
    score = float((likeness * length)[kept].sum()) / max(total, 1)
    mask = kept[labels]
    if colour is None:
        colour = np.median(picture.image[mask], 0).astype(np.float32) if mask.any() else np.zeros(3, np.float32)
    return Ink(mask, colour, score, total, kind)


def _cut(weak: Mask, core: Mask, near: Mask | None) -> Mask | None:
    """Return a mask without the parts of its pieces that cannot be ink; None if that leaves no line with pure ink.

    A line that passes a thing of its colour is one piece with it.
    """
    if near is None:
        return None
    n, labels = cv2.connectedComponents(weak.astype(np.uint8), connectivity=8)
    mostly_not = np.bincount(labels[near], minlength=n) < 0.5 * np.bincount(labels.reshape(-1), minlength=n)
    pure = np.bincount(labels[near & core], minlength=n) >= _SMALLEST / 2
    return np.asarray(weak & (near | ~mostly_not[labels])) if (mostly_not & pure)[1:].any() else None


def _by_piece(
    values: NDArray[np.float32], piece: NDArray[np.int32], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the values of each of n pieces; 0 for empty ones."""
    count = np.maximum(np.bincount(piece, minlength=n), 1)
    mean = np.bincount(piece, values, n) / count
    return mean, np.sqrt(np.maximum(np.bincount(piece, values.astype(np.float64) ** 2, n) / count - mean**2, 0))


def _flat(
    picture: _Picture, ridge: NDArray[np.intp], piece: NDArray[np.int32], n: int, kind: Kind
) -> NDArray[np.float64] | float:
    """Return how much each piece has one colour, 0 to 1."""
    if kind != "colour":
        return 0.7
    colours = picture.image.reshape(-1, 3)[ridge]
    return np.asarray(1 / (1 + np.mean([_by_piece(channel, piece, n)[1] for channel in colours.T], 0) / 40))
