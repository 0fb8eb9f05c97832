"""Convert a tip's track through a video to a path per frame, from there to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.project import Label, Visibility, is_closed, waypoints
from hamster.path import Gripper, Path2D
from hamster.path.simplify import EPSILON

Event = tuple[int, Gripper]


@dataclass(frozen=True, eq=False)
class Track:
    """Positions of a tip in each frame, and its grasps and releases.

    Attributes:
        uv: (T >= 1, 2) relative to the image; where the score is 0, a guess from the frames around.
        score: (T,) how sure that is, 0 to 1.
        events: (frame, new state), in order; a state from before the first frame has a frame below 0.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, a score is not in [0, 1] or events are out of order.
    """

    uv: NDArray[np.float64]
    score: NDArray[np.float64]
    events: Sequence[Event] = ()

    def __post_init__(self) -> None:
        uv, score = np.asarray(self.uv, np.float64), np.asarray(self.score, np.float64)
        if uv.ndim != 2 or uv.shape[1] != 2 or len(uv) == 0 or score.shape != uv.shape[:1]:
            raise ValueError(f"a track needs uv (T >= 1, 2) and a score (T,), got {uv.shape} and {score.shape}")
        if not (np.isfinite(uv).all() and ((score >= 0) & (score <= 1)).all()):
            raise ValueError("a track's uv must be finite and its score in [0, 1]")
        frames = [frame for frame, _ in self.events]
        if frames != sorted(frames) or (frames and frames[-1] >= len(uv)):
            raise ValueError(f"events must be in order and before frame {len(uv)}, got frames {frames}")

    def spread(self, step: int, total: int) -> Track:
        """Return the track of all `total` frames, of which this is every `step`-th: straight lines in between."""
        at = np.minimum(np.arange(total) / step, len(self.uv) - 1)
        before = np.floor(at).astype(int)
        uv = np.stack([np.interp(at, np.arange(len(self.uv)), column) for column in np.asarray(self.uv).T], -1)
        events = [(frame if frame < 0 else frame * step, state) for frame, state in self.events]
        return Track(uv, np.asarray(self.score)[before], events)


def paths_from_track(track: Track, epsilon: float = EPSILON, span: tuple[int, int] | None = None) -> list[Label]:
    """Return for every frame the path from there to the end, with the remaining events.

    With a `span`, for the frames from its first on alone, to the one before its last.

    A path that starts with something in the gripper says so: it begins with a close. A tip out of view is moved to
    the image's border. `Label.frames` counts from the start of the track; `Path.score` is the mean score of the frames
    from there on of which anything is known.

    Args:
        track: of T frames.
        epsilon: of the simplification, relative to the image.
        span: [first, stop) of the frames; all if None.
    """
    inside = np.clip(np.asarray(track.uv, np.float64), 0, 1)
    outside = np.asarray((inside != track.uv).any(-1))
    first, stop = span or (0, len(inside))
    score = np.asarray(track.score, np.float64)[:stop][::-1]
    ahead = (np.cumsum(score) / np.maximum(np.cumsum(score > 0), 1))[::-1]
    inside, outside, events = inside[:stop], outside[:stop], [event for event in track.events if event[0] < stop]
    return [_from(inside, outside, events, i, epsilon, float(ahead[i])) for i in range(first, stop)]


def _from(
    uv: NDArray[np.float64],
    outside: NDArray[np.bool_],
    events: Sequence[Event],
    start: int,
    epsilon: float,
    score: float,
) -> Label:
    ahead = [(frame - start, state) for frame, state in events if frame >= start]
    kept, gripper = waypoints(uv[start:], ahead, is_closed(events, start), epsilon)
    visible = np.where(outside[start:][kept], Visibility.OUT_OF_VIEW, Visibility.VISIBLE).astype(np.uint8)
    return Label(Path2D(uv[start:][kept], gripper, score=min(score, 1.0)), visible, kept + start)
