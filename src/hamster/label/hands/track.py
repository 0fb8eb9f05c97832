"""Hands in a video become a track with events, or the reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import Hand, HandDetector
from hamster.label.hands.events import hand_events
from hamster.label.hands.motion import follow
from hamster.label.hands.regions import find, near
from hamster.label.track2d import Track
from hamster.label.tracking.clip import Clip

LEAST_FRAMES = 3  # with a hand in them


def find_hands(frames: Iterable[NDArray[np.uint8]], detector: HandDetector) -> list[list[Hand]]:
    """The hands in each frame: where none is found at first, one is looked for close up where the last frame had it."""
    found: list[list[Hand]] = []
    for rgb in frames:
        hands = detector(rgb)
        if not hands and found and found[-1]:
            hands = find(rgb, near(rgb, found[-1][0]), detector)
        found.append(hands)
    return found


def track_hand(clip: Clip, found: Sequence[Sequence[Hand]]) -> Track | str:
    """The track of the hand that moves most, or why there is none.

    The score is that of the detector; half of it where the hand was lost for a moment; 0 after it has left.

    Args:
        found: the hands in each frame of the clip.
    """
    sights = sum(bool(hands) for hands in found)
    if sights < LEAST_FRAMES:
        return f"a hand in {sights} of {len(found)} frames; at least {LEAST_FRAMES} are needed"
    motion = follow(found, clip.size_px, clip.fps)
    if motion is None or motion.seen.sum() < LEAST_FRAMES:
        return "no hand is seen for long enough"
    events = hand_events(clip, motion)
    if not events:
        return "the hand changes nothing where it has been, as far as can be seen"
    last = int(np.flatnonzero(motion.seen)[-1])
    typical = float(motion.score[motion.score > 0].mean())
    score = np.where(motion.score > 0, motion.score, typical / 2)
    return Track(motion.tip_px / clip.size_px, np.where(np.arange(len(clip)) <= last, score, 0.0), events)
