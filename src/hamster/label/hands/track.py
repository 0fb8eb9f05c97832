"""Hands in a video become a track with events, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.arm import arms, look_closer, with_arm
from hamster.label.hands.detector import Hand, HandDetector
from hamster.label.hands.events import Sign, hand_events
from hamster.label.hands.motion import Motion, follow
from hamster.label.track2d import Track
from hamster.label.tracking.clip import Clip, brightened

LEAST_FRAMES = 3  # with a hand in them
MEND_S = 0.2  # around an event in a frame without landmarks, in which the tip is led towards what is taken or put


def track_hand(clip: Clip, found: Sequence[Sequence[Hand]], detector: HandDetector | None = None) -> Track | str:
    """The track of the hand that moves most, or why there is none.

    The score is that of the detector; less where only an arm was seen, or nothing for a moment; 0 after it has left.

    Args:
        found: the hands in each frame of the clip.
        detector: looks again, close up, where an arm ends and no hand was found.
    """
    clip = replace(clip, rgb=brightened(clip.rgb))
    masks = arms(clip)
    if detector is not None and any(found):
        found = look_closer(clip, found, masks, detector)
    sights = sum(bool(hands) for hands in found)
    if sights < LEAST_FRAMES:
        return f"a hand in {sights} of {len(found)} frames; at least {LEAST_FRAMES} are needed"
    motion = follow(found, clip.size_px, clip.fps)
    if motion is None or motion.seen.sum() < LEAST_FRAMES:
        return "no hand is seen for long enough"
    motion = with_arm(motion, masks, clip.fps)
    signs = hand_events(clip, motion)
    if isinstance(signs, str):
        return signs
    tip_px = _mended(motion, signs, clip.fps)
    last = int(np.flatnonzero(motion.seen)[-1])
    typical = float(motion.score[motion.landmarked].mean())
    score = np.where(motion.score > 0, motion.score, typical / 2)
    score = np.where(np.arange(len(clip)) <= last, score, 0.0)
    return Track(tip_px / clip.size_px, score, [sign.event for sign in signs])


def _mended(motion: Motion, signs: Sequence[Sign], fps: float) -> NDArray[np.float64]:
    """(T, 2) the tip; near events in frames of which only the arm is known, half-way to what is taken or put."""
    tip = motion.tip_px.copy()
    for sign in signs:
        frame = sign.event[0]
        if frame >= 0 and not motion.landmarked[frame]:
            reach = int(MEND_S * fps)
            around = np.arange(max(frame - reach, 0), min(frame + reach + 1, len(tip)))
            around = around[~motion.landmarked[around]]
            weight = 1 - np.abs(around - frame)[:, None] / (reach + 1)
            tip[around] += weight * (sign.px - motion.tip_px[frame]) / 2
    return tip
