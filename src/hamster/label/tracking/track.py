"""Track a robot's gripper or a person's arm through a clip, with events, or give a reason why not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.label.track2d import Track
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.contact import changed, events_at, visits
from hamster.label.tracking.gripper import Click, follow_gripper
from hamster.label.tracking.points import PointTracker
from hamster.label.tracking.silhouette import Silhouettes
from hamster.label.tracking.stretch import steady_stretch
from hamster.path import Gripper

AWAY = 0.12  # of the longer side: farther from a place, the gripper no longer hides it
SURE = 0.5  # of the witnesses, on average, below which they do not follow the same thing, or not a tip
LOOMING = 0.15  # of the image in motion at once: so near, an elbow or a wrist is as far an end as the tip
DOUBTED = 0.3  # so little agreement in a first frame: the arm is just coming into view
SAME_PLACE = 0.04  # of the longer side: an arm that is about to start
LEAST_MOVE = 0.06  # of the longer side: what a tip has to travel for a path to be worth learning
DISAGREE = "silhouettes and points disagree how the tip moves"
UNCONFIRMED = "no points are followed for long enough to confirm where silhouettes end"
LEAST_FRAMES = 4
CAMERA_MOVES = 0.5  # of a typical frame that differs from the background


def track_gripper(
    clip: Clip, tracker: PointTracker, click: Click | None = None, shapes: Silhouettes | None = None
) -> Track | str:
    """Return the track of what moves, from the first frame on, or why there is none.

    The score is 0 before the arm has come into view, and from where it has left for good.

    Args:
        clip: of T frames.
        tracker: of points.
        click: frame and relative place of a point of the gripper, where one is known.
        shapes: silhouettes of the clip, if computed already.
    """
    if len(clip) < LEAST_FRAMES:
        return f"{len(clip)} frames; at least {LEAST_FRAMES} are needed to tell what moves"
    tip = follow_gripper(clip, tracker, click, shapes)
    if tip is None:
        return "nothing moves"
    if tip.unsteady > CAMERA_MOVES:
        return f"the camera moves: {tip.unsteady:.0%} of a typical frame differs from the background"
    if click is None and not tip.one_entry:
        return "what moves comes in over several sides of the image: which of its ends is the tip?"
    if (
        click is None
        and (looming := float(np.quantile([np.count_nonzero(mask) / mask.size for mask in tip.moving], 0.9))) > LOOMING
    ):
        return f"what moves fills {looming:.0%} of the image: too near to tell which part of it is the tip"
    if click is None and (agree := float(tip.score.mean())) < SURE / 2:
        return f"{DISAGREE} (score {agree:.2f}, needed {SURE})" if agree else UNCONFIRMED
    stretch = steady_stretch(tip.px, tip.visible, clip.long_px, clip.fps)
    if isinstance(stretch, str):
        return stretch
    first, last = stretch
    first = _surely_seen(tip.px[first : last + 1], tip.score[first : last + 1], SAME_PLACE * clip.long_px) + first
    followed = slice(first, last + 1)
    if np.ptp(tip.px[followed], axis=0).max() < LEAST_MOVE * clip.long_px:
        return f"what moves stays within {LEAST_MOVE:.0%} of the image"
    if click is None and (agree := float(tip.score[followed].mean())) < SURE:
        return f"{DISAGREE} (score {agree:.2f}, needed {SURE})"
    every = np.arange(len(clip))
    within = (first <= every) & (every <= last)
    share = changed(clip, tip.px, within, AWAY * clip.long_px, tip.masks)
    events = events_at(visits(share, within, clip.fps), tip.px, clip.fps, AWAY * clip.long_px)
    if (grasps := sum(state is Gripper.CLOSED for _, state in events)) > 1:
        return f"{grasps} grasps, as far as can be seen: one clip, one thing at a time"
    score = np.where(within, np.clip(tip.score, 0.01, 1), 0.0)
    return Track(tip.px / clip.size_px, score, events)


def _surely_seen(px: NDArray[np.float64], score: NDArray[np.float64], same_px: float) -> int:
    """Return the first frame that is not doubted, or of those before it in which the tip rests there."""
    sure = int((score >= DOUBTED).argmax())
    elsewhere = np.linalg.norm(px[:sure] - px[sure], axis=-1) > same_px
    return int(np.flatnonzero(elsewhere)[-1]) + 1 if elsewhere.any() else 0
