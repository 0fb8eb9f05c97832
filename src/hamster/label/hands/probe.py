"""Decide whether a video shows a hand at work, by a few crops of what moves, if that has the colour of skin.

A detector of hands finds some in grippers, too, now and then: one sight proves nothing. It counts where it lies on what
moves just then, and several are needed. Where nothing of skin's colour moves, nobody looks: gloves need `hands` said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import HandDetector
from hamster.label.hands.regions import Box, find
from hamster.label.tracking.clip import Clip, brightened
from hamster.label.tracking.opencv import opencv
from hamster.label.tracking.silhouette import Mask, Silhouettes, entry, silhouettes, tips

Pictures = Callable[[Sequence[int]], Mapping[int, NDArray[np.uint8]]]  # frames of a clip, in full, by number
LOOKS = 8  # at most, all over the video,
FIRST = 2  # of which so many without a hand are enough,
HITS = 2  # and so many with one are needed
CLOSE_UP = 0.6  # of a picture's longer side, around the far end of what moves: in less, grippers look like hands
LEAST_PX = 80  # of a close look's side
ON_IT = 0.5  # of a hand's landmarks lie on what moves
SKIN_LOW, SKIN_HIGH = (0, 135, 77), (255, 180, 127)  # in Y, Cr, Cb: of all people, in ordinary light
SKIN = 0.25  # of what moves near its far end, in a quarter of the looks
BARE_ARM = 0.6  # so much is a bare arm, or a robot in such a light: looked at as if it were an arm
NEAR_END = 0.15  # of the longer side


def find_hand(
    clip: Clip, shapes: Silhouettes, boxes: Sequence[Box], pictures: Pictures, detector: Callable[[], HandDetector]
) -> Box | None:
    """Return the picture within the frame in which a hand may be at work, in pixels of the full images, or None.

    Args:
        clip: the video, small.
        shapes: its silhouettes.
        boxes: the pictures within the frame, on the clip's frames.
        pictures: reads full images; not asked to where nothing has the colour of skin, which saves their decoding.
        detector: gives one; it is not asked to there either, as it may take long to load.
    """
    for box in boxes:
        left, top, right, bottom = box
        part, moving = clip, shapes.moving
        if len(boxes) > 1:
            part = replace(clip, rgb=np.ascontiguousarray(clip.rgb[:, top:bottom, left:right]))
            moving = silhouettes(part).moving
        else:
            left, top = 0, 0
        if _shows_hand(part, moving, pictures, (left, top), clip.long_px, detector):
            height, width = next(iter(pictures([0]).values())).shape[:2]
            full = (np.array(box) * max(height, width) / clip.long_px).round().astype(int).tolist()
            return full[0], full[1], min(full[2], width), min(full[3], height)
    return None


def _shows_hand(
    part: Clip,
    moving: list[Mask],
    pictures: Pictures,
    corner: tuple[int, int],
    long_px: float,
    detector: Callable[[], HandDetector],
) -> bool:
    numbers = np.unique(np.linspace(0, len(part) - 1, LOOKS + 2)[1:-1].round()).astype(int).tolist()
    places, there = tips([moving[t] for t in numbers], entry(moving))
    ends = dict(zip(numbers, places, strict=True))
    looks = _spread([t for t, is_there in zip(numbers, there, strict=True) if is_there])
    skin = float(np.quantile([_skin(part, moving[t], ends[t], t) for t in looks], 0.75)) if looks else 0.0
    if len(looks) < HITS or skin < SKIN or skin >= BARE_ARM:
        return skin >= BARE_ARM
    hits = 0
    for batch in (looks[:FIRST], looks[FIRST:]):  # each in order of time, in which a video is read quickest
        for t, picture in pictures(sorted(batch)).items():
            hits += _hand_at(part, moving[t], ends[t], picture, corner, max(picture.shape) / long_px, detector())
            if hits >= HITS:
                return True
        if not hits:
            return False
    return False


def _hand_at(
    part: Clip,
    mask: Mask,
    end: NDArray[np.float64],
    picture: NDArray[np.uint8],
    corner: tuple[int, int],
    scale: float,
    detector: HandDetector,
) -> bool:
    """Return whether a hand is found around the end of what moves, and lies on what moves."""
    side = max(LEAST_PX / scale, CLOSE_UP * part.long_px)
    first = np.clip(end - side / 2, 0, np.maximum(part.size_px - side, 0))
    last = np.minimum(first + side, part.size_px)
    left, top, right, bottom = (np.r_[first + corner, last + corner] * scale).astype(int).tolist()
    region = opencv().dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    for hand in find(picture, (left, top, right, bottom), detector):
        px = hand.uv * picture.shape[1::-1] / scale - corner
        u, v = np.clip(px, 0, part.size_px - 1).astype(int).T
        if region[v, u].mean() >= ON_IT:
            return True
    return False


def _spread(numbers: list[int]) -> list[int]:
    """Return the same numbers, the middle one first, then the middles of both halves, and so on."""
    if not numbers:
        return []
    halves, out = [numbers], []
    while halves:
        part = halves.pop(0)
        middle = len(part) // 2
        out.append(part[middle])
        halves += [half for half in (part[:middle], part[middle + 1 :]) if half]
    return out


def _skin(clip: Clip, mask: Mask, end: NDArray[np.float64], frame: int) -> float:
    """Return the share of what moves near its far end that has the colour of skin."""
    cv2 = opencv()
    near = np.zeros(mask.shape, np.uint8)
    cv2.circle(near, tuple(end.round().astype(int).tolist()), round(NEAR_END * clip.long_px), 1, -1)
    here = mask & near.astype(bool)
    colour = cv2.cvtColor(brightened(clip.rgb[frame]), cv2.COLOR_RGB2YCrCb)
    return float((cv2.inRange(colour, SKIN_LOW, SKIN_HIGH) > 0)[here].mean()) if here.any() else 0.0
