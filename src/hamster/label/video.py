"""Label action-free video: the path of a hand or a gripper from each frame on, or a reason why there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode, Observation
from hamster.data.lazy import SupportsThumbnails, evenly_spaced
from hamster.extras import NotInstalledError
from hamster.label.episodes import LabelledEpisode, label_words, only, recorded_events
from hamster.label.hands.detector import Hand, HandDetector
from hamster.label.hands.mediapipe import MediaPipeHands, check_installed
from hamster.label.hands.probe import find_hand
from hamster.label.hands.regions import Box, best_region, panels
from hamster.label.hands.track import NO_HAND, track_hand
from hamster.label.method import LabelMethod, Skipped
from hamster.label.track2d import Track, paths_from_track
from hamster.label.tracking.clip import SIDE_PX, Clip, read_clip, small
from hamster.label.tracking.points import LucasKanade, PointTracker
from hamster.label.tracking.silhouette import Silhouettes, silhouettes
from hamster.label.tracking.track import track_gripper
from hamster.path.simplify import EPSILON

VideoMethod = Literal["auto", "hands", "tracking"]
PROBES = 16  # frames in which hands are looked for, to see where in the image they are
HANDS_SIDE_PX = 256  # of the small frames' longer side: fingers are small, and finding them takes longer anyway
PANEL_FRAMES = 8  # tell whether a frame shows several pictures side by side
HANDS_SHARE = 0.15  # of them with a hand in one place, at least: one sight proves nothing
DEFAULT_FPS = 30.0
MOST_WAYPOINTS = 12  # a reach, a grasp and a place have fewer: more is several tasks, or a tip that wanders
TRACKED_FPS = 15.0  # frames in between would tell nothing new about an arm, and cost as much again


def label_video(
    episode: Episode,
    method: VideoMethod = "auto",
    camera: str | None = None,
    epsilon: float = EPSILON,
    detector: HandDetector | None = None,
    tracker: PointTracker | None = None,
) -> LabelledEpisode | Skipped:
    """Return the path from each frame of a video to its end, on the image of one camera (the first one, unless named).

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
    video = _Video(episode, _Frames(episode.observations, _camera(episode, camera)), _fps(episode), epsilon)
    if method == "tracking":
        return _by_tracking(video, video.clip, tracker)
    if method == "hands":
        detector = detector or _mediapipe()
        box, _ = best_region(video.frames.some(PROBES), detector)
        return _by_hands(video, detector, box)
    if method != "auto":
        raise ValueError(f"unknown method {method!r}; there are auto, hands, tracking")
    return _by_either(video, detector, tracker)


def track_tip(episode: Episode, camera: str) -> Track | str:
    """Return the track of the gripper's tip in the images of one camera, or why there is none.

    Args:
        episode: whose images are read.
        camera: by name.
    """
    video = _Video(episode, _Frames(episode.observations, _camera(episode, camera)), _fps(episode), EPSILON)
    return _track(video, video.clip, LucasKanade(), None, ())


def _by_either(video: _Video, detector: HandDetector | None, tracker: PointTracker | None) -> LabelledEpisode | Skipped:
    """Label by hands where one is at work, else by tracking, also where no hand can be followed after all."""
    try:
        if detector is None:
            check_installed()
        clip = video.clip
        shapes, boxes = silhouettes(clip), _panels(clip)
        box = find_hand(clip, shapes, boxes, video.pictures, lambda: detector or _mediapipe())
        if box is not None:
            detector = detector or _mediapipe()
    except (ValueError, NotInstalledError) as error:
        _say_once(str(error))
        return _by_tracking(video, video.clip, tracker)
    if box is None or detector is None:
        return _by_tracking(video, clip, tracker, shapes, boxes)
    left, top, right, bottom = box
    region, share = best_region([rgb[top:bottom, left:right] for rgb in video.frames.some(PROBES)], detector)
    if share < HANDS_SHARE:
        return _by_tracking(video, clip, tracker, shapes, boxes)
    by_hands = _by_hands(video, detector, (region[0] + left, region[1] + top, region[2] + left, region[3] + top))
    if not (isinstance(by_hands, Skipped) and by_hands.reason.startswith(f"hands: {NO_HAND}")):
        return by_hands
    by_tracking = _by_tracking(video, clip, tracker, shapes, boxes)
    if isinstance(by_tracking, Skipped):
        return Skipped(by_tracking.file, f"{by_hands.reason}; {by_tracking.reason}")
    return by_tracking


def _by_tracking(
    video: _Video,
    clip: Clip,
    tracker: PointTracker | None,
    shapes: Silhouettes | None = None,
    boxes: Sequence[Box] = (),
) -> LabelledEpisode | Skipped:
    tracker, episode = tracker or LucasKanade(), video.episode
    track = _track(video, clip, tracker, shapes, boxes)
    if isinstance(track, Track) and episode.gripper is not None:  # what was recorded need not be guessed
        track = replace(track, events=recorded_events(episode))
    return _finish(video, track, LabelMethod("tracking", None, tracker.name, tracker.version))


def _track(
    video: _Video, clip: Clip, tracker: PointTracker, shapes: Silhouettes | None, boxes: Sequence[Box]
) -> Track | str:
    """Return the tip's track through all frames, or why there is none."""
    step, click = video.step, video.episode.provenance.extra.get("click")
    if click is not None:
        click = (round(click[0] / step), *click[1:])
    if (films := len(boxes or _panels(clip))) > 1:
        return f"{films} pictures in one film; a crop noted beside the video says which one is meant"
    track = track_gripper(clip, tracker, click, shapes)
    return track.spread(step, len(video.episode.observations)) if isinstance(track, Track) else track


def _panels(clip: Clip) -> list[Box]:
    return panels(list(clip.rgb[evenly_spaced(len(clip), PANEL_FRAMES)]))


def _by_hands(video: _Video, detector: HandDetector, box: Box) -> LabelledEpisode | Skipped:
    clip, hands_by_frame = _watch(video.frames, video.fps, detector, box)
    track = track_hand(clip, hands_by_frame, detector)
    if isinstance(track, Track):
        width, height = video.frames.size
        corner, size = np.array(box[:2]), np.subtract(box[2:], box[:2])
        track = replace(track, uv=(track.uv * size + corner) / [width, height])
    return _finish(video, track, LabelMethod("hands", None, detector.name, detector.version))


def _watch(frames: _Frames, fps: float, detector: HandDetector, box: Box) -> tuple[Clip, list[list[Hand]]]:
    """Yield a part of the frames as a clip, and the hands in it, with one look at each frame."""
    left, top, right, bottom = box
    pictures: list[NDArray[np.uint8]] = []

    def kept() -> Iterator[NDArray[np.uint8]]:
        for rgb in frames:
            part = rgb[top:bottom, left:right]
            pictures.append(small(part, HANDS_SIDE_PX))
            yield part

    hands_by_frame = [detector(rgb) for rgb in kept()]
    return read_clip(pictures, fps, HANDS_SIDE_PX), hands_by_frame


def _finish(video: _Video, track: Track | str, method: LabelMethod) -> LabelledEpisode | Skipped:
    episode, frames = video.episode, video.frames
    provenance = episode.provenance
    if isinstance(track, str):
        return Skipped(provenance.file or provenance.source, f"{method.name}: {track}")
    sure = track.score > 0
    if not sure.any():
        return Skipped(provenance.file or provenance.source, f"{method.name}: the tip is nowhere to be seen")
    method = replace(method, score=round(float(track.score[sure].mean()), 3))
    labelled = label_words(episode, frames.camera, method, lambda span: paths_from_track(track, video.epsilon, span))
    first, last = np.flatnonzero(sure)[[0, -1]]
    if (bends := len(labelled.labels[first].path.uv)) > MOST_WAYPOINTS:
        why = f"a path of {bends} waypoints, of at most {MOST_WAYPOINTS}: one clip, one thing at a time"
        return Skipped(provenance.file or provenance.source, f"{method.name}: {why}")
    unsure = np.flatnonzero(~sure)
    without = {"not_yet_in_view": unsure[unsure < first], "no_longer_in_view": unsure[unsure > last]}
    return only(labelled, {reason: numbers.tolist() for reason, numbers in without.items()})


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
        return (self.full(i) for i in range(len(self.observations)))

    def small(self, side_px: int, step: int) -> Iterator[NDArray[np.uint8]]:
        """Return every `step`-th of them, small where that is quicker."""
        observations, numbers = self.observations, range(0, len(self.observations), step)
        if isinstance(observations, SupportsThumbnails):
            return (observations.small(i, self.camera, side_px) for i in numbers)
        return (self.full(i) for i in numbers)

    def full(self, i: int) -> NDArray[np.uint8]:
        """Return frame i at full size; ValueError if it is damaged."""
        if (view := self.observations[i].views.get(self.camera)) is None:
            raise ValueError(f"camera {self.camera}: frame {i} is missing or damaged")
        return view.rgb

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.observations[0].views[self.camera].rgb.shape[:2]
        return width, height

    def some(self, count: int) -> list[NDArray[np.uint8]]:
        """Return frames from all over the video."""
        return [self.full(i) for i in evenly_spaced(len(self.observations), count)]


@dataclass(frozen=True, eq=False)
class _Video:
    """What is to be labelled, and how."""

    episode: Episode
    frames: _Frames
    fps: float
    epsilon: float

    @property
    def step(self) -> int:
        """Every how many frames tracking looks."""
        return max(1, round(self.fps / TRACKED_FPS))

    @property
    def clip(self) -> Clip:
        """The clip for tracking; reads the video."""
        return read_clip(self.frames.small(SIDE_PX, self.step), self.fps / self.step)

    def pictures(self, numbers: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
        """Return some of the clip's frames in full, by number."""
        return {number: self.frames.full(number * self.step) for number in numbers}
