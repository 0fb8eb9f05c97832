"""Convert hand detections in a video to a track with events, or a reason why there is none."""

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
from hamster.label.tracking.opencv import opencv
from hamster.label.tracking.silhouette import differs

LEAST_FRAMES = 3  # with a hand in them
MOVES = 0.06  # of the longer side that a hand at work travels
WITH_IT = 0.3  # of its landmarks lie where the picture changes, while it moves
NO_HAND = "no hand to follow: "
MEND_S = 0.2  # around an event in a frame without landmarks, in which the tip is led towards what is taken or put


def track_hand(
    clip: Clip, hands_by_frame: Sequence[Sequence[Hand]], detector: HandDetector | None = None
) -> Track | str:
    """Return the track of the hand that moves most, or why there is none.

    The score is that of the detector; less where only an arm was seen, or nothing for a moment; 0 after it has left.

    Args:
        hands_by_frame: the hands in each frame of the clip.
        detector: looks again, close up, where an arm ends and no hand was found.
    """
    clip = replace(clip, rgb=brightened(clip.rgb))
    masks = arms(clip)
    if detector is not None and any(hands_by_frame):
        hands_by_frame = look_closer(clip, hands_by_frame, masks, detector)
    sights = sum(bool(hands) for hands in hands_by_frame)
    if sights < LEAST_FRAMES:
        return f"{NO_HAND}a hand in {sights} of {len(hands_by_frame)} frames; at least {LEAST_FRAMES} are needed"
    motion = follow(hands_by_frame, clip.size_px, clip.fps)
    if isinstance(motion, str):
        return motion
    if motion is None or motion.visible.sum() < LEAST_FRAMES:
        return f"{NO_HAND}none is seen for long enough"
    if not _moves_with_picture(clip, motion):
        return f"{NO_HAND}what was taken for one does not move with the picture"
    motion = with_arm(motion, masks, clip.fps)
    signs = hand_events(clip, motion)
    if isinstance(signs, str):
        return signs
    tip_px = _mended(motion, signs, clip.fps)
    last = int(np.flatnonzero(motion.visible)[-1])
    typical = float(motion.score[motion.landmarked].mean())
    score = np.where(motion.score > 0, motion.score, typical / 2)
    score = np.where(np.arange(len(clip)) <= last, score, 0.0)
    return Track(tip_px / clip.size_px, score, [sign.event for sign in signs])


def _mended(motion: Motion, signs: Sequence[Sign], fps: float) -> NDArray[np.float64]:
    """Return (T, 2) the tip; near events in frames of which only the arm is known, half-way to what is taken or put."""
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


def _moves_with_picture(clip: Clip, motion: Motion) -> bool:
    """Return whether the landmarks travel, and the picture changes under them while they do."""
    frames = np.flatnonzero(motion.landmarked)
    if np.ptp(motion.tip_px[frames], axis=0).max() < MOVES * clip.long_px:
        return False
    contrasts = []
    before = int(frames[0])
    for now in frames[1:].tolist():
        if np.linalg.norm(motion.tip_px[now] - motion.tip_px[before]) >= motion.palm_px / 2:
            u, v = np.clip(motion.landmarks_px[now], 0, clip.size_px - 1).astype(int).T
            changed = opencv().dilate(differs(clip.rgb[now], clip.rgb[before]).astype(np.uint8), np.ones((3, 3)))
            contrasts.append(float(changed[v, u].mean()))
            before = now
    return not contrasts or float(np.median(contrasts)) >= WITH_IT
