"""Action-free video becomes paths: where a hand or a gripper goes from each frame on, or why that cannot be told."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode, Observation
from hamster.data.lazy import Shrinks
from hamster.extras import NotInstalledError
from hamster.label.episodes import LabelledEpisode, label_words, only, recorded_events
from hamster.label.hands.detector import Hand, HandDetector
from hamster.label.hands.mediapipe import MediaPipeHands
from hamster.label.hands.regions import Box, best_region
from hamster.label.hands.track import track_hand
from hamster.label.how import Abstained, How
from hamster.label.track2d import Track, paths_from_track
from hamster.label.tracking.clip import SIDE_PX, Clip, read_clip, small
from hamster.label.tracking.points import LucasKanade, PointTracker
from hamster.label.tracking.track import track_gripper
from hamster.path.simplify import EPSILON

VideoMethod = Literal["auto", "hands", "tracking"]
PROBES = 16  # frames in which hands are looked for, to see whether it is a hand's video
HANDS_SHARE = 0.1  # of them with a hand in it: it is
HANDS_SIDE_PX = 256  # of the small frames' longer side: fingers are small, and finding them takes longer anyway
DEFAULT_FPS = 30.0
TRACKED_FPS = 15.0  # frames in between would tell nothing new about an arm, and cost as much again


def label_video(
    episode: Episode,
    method: VideoMethod = "auto",
    camera: str | None = None,
    epsilon: float = EPSILON,
    detector: HandDetector | None = None,
    tracker: PointTracker | None = None,
) -> LabelledEpisode | Abstained:
    """The path from each frame of a video to its end, on the image of one camera (the first one, unless named).

    Frames after the hand or arm has left the picture for good have no path and are left out of the episode; those
    before it comes have, which is what a planner gets to see.

    Args:
        method: hands (landmarks), tracking (whatever moves), or auto: hands if there are any, else tracking.
        detector: of hands; MediaPipe by default, where it is installed.
        tracker: of points; pyramidal Lucas-Kanade by default. `provenance.extra["click"]`, (frame, u, v), tells it
            which point is the gripper's tip.

    Raises:
        ValueError: if the video cannot be read, or there is no such camera or method.
        NotInstalledError: if a package is missing.
    """
    frames = _Frames(episode.observations, _camera(episode, camera))
    fps = _fps(episode)
    if method == "tracking":
        return _by_tracking(episode, frames, fps, epsilon, tracker)
    if method not in ("auto", "hands"):
        raise ValueError(f"unknown method {method!r}; there are auto, hands, tracking")
    try:
        detector = detector or _mediapipe()
    except (ValueError, NotInstalledError) as error:
        if method == "hands":
            raise
        _say_once(str(error))
        return _by_tracking(episode, frames, fps, epsilon, tracker)
    box, share = best_region(frames.some(PROBES), detector)
    if method == "auto" and share < HANDS_SHARE:
        return _by_tracking(episode, frames, fps, epsilon, tracker)
    return _by_hands(episode, frames, fps, epsilon, detector, box)


def _by_tracking(
    episode: Episode, frames: _Frames, fps: float, epsilon: float, tracker: PointTracker | None
) -> LabelledEpisode | Abstained:
    tracker = tracker or LucasKanade()
    click = episode.provenance.extra.get("click")
    step = max(1, round(fps / TRACKED_FPS))
    if click is not None:
        click = (round(click[0] / step), *click[1:])
    track = track_gripper(read_clip(frames.small(SIDE_PX, step), fps / step), tracker, click)
    if isinstance(track, Track):
        track = track.spread(step, len(episode.observations))
    if isinstance(track, Track) and episode.gripper is not None:  # what was recorded need not be guessed
        track = replace(track, events=recorded_events(episode, episode.gripper))
    return _finish(episode, frames, track, epsilon, How("tracking", None, tracker.name, tracker.version))


def _by_hands(
    episode: Episode, frames: _Frames, fps: float, epsilon: float, detector: HandDetector, box: Box
) -> LabelledEpisode | Abstained:
    clip, found = _watch(frames, fps, detector, box)
    track = track_hand(clip, found, detector)
    if isinstance(track, Track):
        width, height = frames.size
        corner, size = np.array(box[:2]), np.subtract(box[2:], box[:2])
        track = replace(track, uv=(track.uv * size + corner) / [width, height])
    return _finish(episode, frames, track, epsilon, How("hands", None, detector.name, detector.version))


def _watch(frames: _Frames, fps: float, detector: HandDetector, box: Box) -> tuple[Clip, list[list[Hand]]]:
    """A part of the frames as a clip, and the hands in it, with one look at each frame."""
    left, top, right, bottom = box
    pictures: list[NDArray[np.uint8]] = []

    def kept() -> Iterator[NDArray[np.uint8]]:
        for rgb in frames:
            part = rgb[top:bottom, left:right]
            pictures.append(small(part, HANDS_SIDE_PX))
            yield part

    found = [detector(rgb) for rgb in kept()]
    return read_clip(pictures, fps, HANDS_SIDE_PX), found


def _finish(
    episode: Episode, frames: _Frames, track: Track | str, epsilon: float, how: How
) -> LabelledEpisode | Abstained:
    provenance = episode.provenance
    if isinstance(track, str):
        return Abstained(provenance.file or provenance.source, f"{how.method}: {track}")
    sure = track.score > 0
    if not sure.any():
        return Abstained(provenance.file or provenance.source, f"{how.method}: the tip is nowhere to be seen")
    how = replace(how, score=round(float(track.score[sure].mean()), 3))
    labelled = label_words(episode, frames.camera, how, lambda span: paths_from_track(track, epsilon, span))
    return only(labelled, {"unsure": np.flatnonzero(~sure).tolist()})


@cache
def _say_once(why: str) -> None:
    sys.stderr.write(f"hands are not looked for, videos are tracked: {why}\n")


@cache
def _mediapipe() -> MediaPipeHands:
    return MediaPipeHands()


def _camera(episode: Episode, camera: str | None) -> str:
    if not len(episode.observations):
        raise ValueError("a video without frames")
    names = list(episode.observations[0].views)
    if not names or (camera is not None and camera not in names):
        raise ValueError(f"no camera {camera!r}; there are {', '.join(names) or 'none'}")
    return camera or names[0]


def _fps(episode: Episode) -> float:
    fps = episode.provenance.extra.get("fps")
    if isinstance(fps, int | float) and 0 < fps < 1000:
        return float(fps)
    observations = episode.observations
    span = observations[len(observations) - 1].time_s - observations[0].time_s
    return (len(observations) - 1) / span if span > 0 else DEFAULT_FPS


@dataclass(frozen=True, eq=False)
class _Frames:
    """The images of one camera, decoded one after the other."""

    observations: Sequence[Observation]
    camera: str

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self.observations[i].views[self.camera].rgb for i in range(len(self.observations)))

    def small(self, side_px: int, step: int) -> Iterator[NDArray[np.uint8]]:
        """Every `step`-th of them, small where that is quicker."""
        observations, numbers = self.observations, range(0, len(self.observations), step)
        if isinstance(observations, Shrinks):
            return (observations.small(i, self.camera, side_px) for i in numbers)
        return (observations[i].views[self.camera].rgb for i in numbers)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.observations[0].views[self.camera].rgb.shape[:2]
        return width, height

    def some(self, count: int) -> list[NDArray[np.uint8]]:
        """Frames from all over the video."""
        total = len(self.observations)
        numbers = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
        return [self.observations[i].views[self.camera].rgb for i in numbers.tolist()]
