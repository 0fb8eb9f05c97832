"""Arm masks: what is in neither the first nor the last frame, and comes in over the image's border.

It hides the scene; and where it ends is a hand, also where no landmarks are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import MIDDLE_BASE, WRIST, Hand, HandDetector
from hamster.label.hands.motion import Motion
from hamster.label.hands.regions import Box, find
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.opencv import opencv
from hamster.label.tracking.silhouette import attached, differs, entry, tips

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
CLOSE_UP = (0.4, 0.6)  # of the longer side: parts of the image in which a hand is looked for at the arm's end
MOST = 0.4  # of the image: what covers more is no arm
LONG = 8  # palms: a forearm is no longer
ASTRAY = 2.5  # palms from where the hand is before or after: what ends farther away is something else
BRIEF_S = 0.3  # between two sights: what lies between them is known from them
UNSURE = 0.3  # the score of a hand of which only the arm is seen


def arms(clip: Clip) -> list[Mask]:
    """Return T masks (h, w) of arm and hand."""
    first, last = clip.rgb[0], clip.rgb[-1]
    candidates = [attached(differs(rgb, first) & differs(rgb, last)) for rgb in clip.rgb]
    return [mask if mask.mean() < MOST else np.zeros_like(mask) for mask in candidates]


def ends(masks: list[Mask]) -> tuple[Array, Mask]:
    """Return (T, 2) where each arm ends, and (T,) whether there is one."""
    return tips(masks, entry(masks))


def look_closer(
    clip: Clip, hands_by_frame: Sequence[Sequence[Hand]], masks: list[Mask], detector: HandDetector
) -> list[list[Hand]]:
    """Return the hands of each frame; where there are none but an arm is, its end is looked at close up.

    What is taken for a hand where an arm comes in, and the arm goes on, is a sleeve.

    Args:
        clip: of T frames.
        hands_by_frame: detections in each frame.
        masks: T (h, w) of the arm.
        detector: for the close-ups.
    """
    px, there = ends(masks)
    hands = [list(frame_hands) for frame_hands in hands_by_frame]
    for t in np.flatnonzero(there).tolist():
        hands[t] = [h for h in hands[t] if _at(h, px[t], clip.size_px) or not _sleeve(h, masks[t], clip.size_px)]
        for part in CLOSE_UP:
            if not hands[t]:
                close = find(clip.rgb[t], _around(clip, px[t], part), detector)
                hands[t] = [hand for hand in close if _at(hand, px[t], clip.size_px)]
    return hands


def with_arm(motion: Motion, masks: list[Mask], fps: float) -> Motion:
    """Return the motion with its tip at the arm's end where landmarks are lost for long and the hand is about there.

    Args:
        motion: of the hand.
        masks: T (h, w) of the arm.
        fps: frames per second.
    """
    px, there = ends(masks)
    expected = np.linalg.norm(px - motion.tip_px, axis=-1) < ASTRAY * motion.palm_px
    frames = np.flatnonzero(motion.landmarked)
    every = np.arange(len(masks))
    after = np.searchsorted(frames, every)
    gap = np.r_[frames, np.inf][after] - np.r_[-np.inf, frames][after]
    alone = there & ~motion.landmarked & expected & (gap > BRIEF_S * fps)
    tip = np.where(alone[:, None], px, motion.tip_px)
    return replace(motion, tip_px=tip, visible=motion.visible | alone, score=np.where(alone, UNSURE, motion.score))


def hidden(motion: Motion, masks: list[Mask]) -> Mask:
    """Return (T, h, w) where hand and forearm hide the scene."""
    cv2 = opencv()
    out = np.stack(masks)
    margin = np.ones((3, 3), np.uint8) if motion.palm_px < 12 else np.ones((5, 5), np.uint8)
    for t in np.flatnonzero(motion.landmarked).tolist():
        shape = motion.landmarks_px[t]
        covered = np.zeros(out.shape[1:], np.uint8)
        cv2.fillConvexPoly(covered, cv2.convexHull(shape.round().astype(np.int32)), 1)
        elbow = shape[WRIST] + LONG * (shape[WRIST] - shape[MIDDLE_BASE])
        ends_px = [tuple(p.round().astype(int).tolist()) for p in (shape[WRIST], elbow)]
        cv2.line(covered, *ends_px, 1, max(1, round(0.9 * motion.palm_px)))
        out[t] |= cv2.dilate(covered, margin) > 0
    return out


def _at(hand: Hand, px: Array, size_px: Array) -> bool:
    shape = hand.uv * size_px
    palm = float(np.linalg.norm(shape[MIDDLE_BASE] - shape[WRIST]))
    return bool(np.linalg.norm(shape.mean(0) - px) < ASTRAY * palm)


def _sleeve(hand: Hand, mask: Mask, size_px: Array) -> bool:
    """Return whether most of its landmarks lie on the arm, at the image's border."""
    px = hand.uv * size_px
    u, v = np.clip(px, 0, size_px - 1).astype(int).T
    to_border = np.minimum(px.mean(0), size_px - px.mean(0)).min()
    return bool(mask[v, u].mean() > 0.5 and to_border < np.linalg.norm(px[MIDDLE_BASE] - px[WRIST]))


def _around(clip: Clip, px: Array, part: float) -> Box:
    width, height = clip.size_px.astype(int).tolist()
    side = max(16, round(part * clip.long_px))
    left, top = np.clip(px - side / 2, 0, np.maximum(clip.size_px - side, 0)).astype(int).tolist()
    return left, top, min(left + side, width), min(top + side, height)
