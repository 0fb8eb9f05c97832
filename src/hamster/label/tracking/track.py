"""A robot's gripper, or a person's arm, in a clip becomes a track with events, or the reason why not."""

from __future__ import annotations

import numpy as np

from hamster.label.track2d import Track
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.contact import changed, events_at, visits
from hamster.label.tracking.gripper import Click, follow_gripper
from hamster.label.tracking.points import PointTracker

AWAY = 0.12  # of the longer side: farther from a place, the gripper no longer hides it
SURE = 0.6  # agreement of silhouettes and points, on average, below which they do not follow the same thing
LEAST_MOVE = 0.06  # of the longer side: what a tip has to travel for a path to be worth learning
LEAST_FRAMES = 4
CAMERA_MOVES = 0.5  # of a typical frame that differs from the background


def track_gripper(clip: Clip, tracker: PointTracker, click: Click | None = None) -> Track | str:
    """The track of what moves, from the first frame on, or why there is none.

    The score is 0 from where the arm has left the picture for good.
    """
    if len(clip) < LEAST_FRAMES:
        return f"{len(clip)} frames; at least {LEAST_FRAMES} are needed to tell what moves"
    tip = follow_gripper(clip, tracker, click)
    if tip is None:
        return "nothing moves"
    if tip.unsteady > CAMERA_MOVES:
        return f"the camera moves: {tip.unsteady:.0%} of a typical frame differs from the background"
    if np.ptp(tip.px, axis=0).max() < LEAST_MOVE * clip.long_px:
        return f"what moves stays within {LEAST_MOVE:.0%} of the image"
    if click is None and tip.score.mean() < SURE:
        return f"silhouettes and points disagree where the tip is (score {tip.score.mean():.2f}, needed {SURE})"
    share = changed(clip, tip.px, tip.seen, AWAY * clip.long_px, tip.masks)
    found = visits(share, tip.seen, clip.fps)
    events = events_at(found, tip.px, clip.fps, AWAY * clip.long_px)
    last = int(np.flatnonzero(tip.seen)[-1])
    score = np.where(np.arange(len(clip)) <= last, np.clip(tip.score, 0.01, 1), 0.0)
    return Track(tip.px / clip.size_px, score, events)
