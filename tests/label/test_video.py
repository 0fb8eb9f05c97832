from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, View
from hamster.data.video_source import read_video
from hamster.data.video_writer import write_video
from hamster.extras import NotInstalledError
from hamster.label import video
from hamster.label.label_item import Options, label_item
from hamster.label.method import Skipped
from hamster.label.track2d import Track
from hamster.label.video import label_video
from hamster.path import Gripper
from tests.label.hands.test_track import hand_at
from tests.label.tracking.drawn import pick_and_place

pytest.importorskip("cv2", reason="videos are tracked with OpenCV: the extra `data`")


class Knows:
    """Finds the hands that it was told of, by the picture."""

    name, version = "stand-in", "7"

    def __init__(self, scene, until=None):
        self.hands = {rgb.tobytes(): [hand_at(uv)] for rgb, uv in zip(scene.frames[:until], scene.uv, strict=False)}

    def __call__(self, rgb):
        return self.hands.get(np.ascontiguousarray(rgb).tobytes(), [])


class NoHands:
    """Finds nothing."""

    name, version = "stand-in", "0"

    def __call__(self, rgb):
        return []


def episode(frames, fps=30.0, **extra):
    observations = [Observation({"video": View(rgb)}, None, None, t / fps) for t, rgb in enumerate(frames)]
    return Episode(["put the square there"], observations, Provenance("video:", "a.mp4", extra={"fps": fps, **extra}))


def check(labelled, scene):
    assert len(labelled.labels) == len(labelled.episode.observations)
    for i, label in enumerate(labelled.labels):
        assert label.frames[0] == i and label.frames[-1] == len(labelled.labels) - 1
    first = labelled.labels[0]
    assert [state for _, state in first.path.events] == [Gripper.CLOSED, Gripper.OPEN]
    for (i, _), (truth, _) in zip(first.path.events, scene.events, strict=True):
        assert np.linalg.norm(first.path.uv[i] - scene.uv[truth]) < 0.04
    middle = labelled.labels[(scene.events[0][0] + scene.events[1][0]) // 2].path
    assert [(i > 0, state) for i, state in middle.events] == [(False, Gripper.CLOSED), (True, Gripper.OPEN)]


def test_a_robots_video(tmp_path):
    scene = pick_and_place()
    write_video(tmp_path / "put_it_there.mp4", scene.frames, scene.fps)
    labelled = label_video(read_video(tmp_path / "put_it_there.mp4"), "tracking")
    check(labelled, scene)
    assert (labelled.method.name, labelled.method.tool) == ("tracking", "lucas-kanade") and labelled.method.score > 0.6
    assert labelled.camera == "video" and labelled.episode.observations[3].views["video"].rgb.shape == (240, 320, 3)


def test_a_persons_video():
    scene = pick_and_place()
    labelled = label_video(episode(scene.frames), "hands", detector=Knows(scene))
    check(labelled, scene)
    assert labelled.method.name == "hands" and labelled.method.tool == "stand-in" and labelled.method.version == "7"


def bare_armed(frames):
    """The same scene with arm and gripper in the colour of skin."""
    out = frames.copy()
    out[(frames == [235, 235, 240]).all(-1)] = out[(frames == [40, 40, 45]).all(-1)] = SKIN
    return out


SKIN = (150, 95, 70)


class Sees:
    """Finds the lower end of what has the colour of skin, in whatever part of the image it is given."""

    name, version = "stand-in", "8"

    def __init__(self, palm_px=24.0, only=None):
        self.palm_px, self.only, self.looks = palm_px, only, 0

    def __call__(self, rgb):
        self.looks += 1
        v, u = np.nonzero((np.abs(rgb.astype(int) - SKIN) < 12).all(-1))
        if len(u) < 30 or (self.only is not None and self.looks not in self.only):
            return []
        height, width = rgb.shape[:2]
        low = v > v.max() - 12
        return [hand_at(np.array([(u[low].min() + u[low].max()) / 2, v.max()]) / [width, height], palm=24 / height)]


def test_frames_before_the_arm_has_come_are_left_out_and_counted():
    scene = pick_and_place()
    empty = np.median(scene.frames, axis=0).astype(np.uint8)
    empty[170:185, 90:105] = scene.frames[0, 170:185, 90:105]
    labelled = label_video(episode(np.concatenate([np.repeat(empty[None], 20, 0), scene.frames])), "tracking")
    assert 20 <= labelled.left_out["not_yet_in_view"] <= 26
    assert len(labelled.labels) + sum(labelled.left_out.values()) == 20 + len(scene.frames)


def test_auto_takes_hands_where_there_are_any():
    scene = pick_and_place()
    assert label_video(episode(bare_armed(scene.frames)), detector=Sees()).method.name == "hands"


@pytest.mark.parametrize("only", [(), (1,), (2, 5)])
def test_auto_is_not_led_astray_by_a_sight_or_two(only):
    scene = pick_and_place()
    frames = bare_armed(scene.frames)
    frames[(frames == SKIN).all(-1) & (np.arange(240)[:, None] < 150)] = (235, 235, 240)
    labelled = label_video(episode(frames), detector=Sees(only=only))
    assert isinstance(labelled, Skipped) or labelled.method.name == "tracking"


def test_where_nothing_has_the_colour_of_skin_nobody_looks_for_hands():
    class Raises(NoHands):
        def __call__(self, rgb):
            raise AssertionError("a robot's video costs no more than its tracking")

    labelled = label_video(episode(pick_and_place().frames[..., ::-1]), detector=Raises())
    assert labelled.method.name == "tracking"


def test_a_path_that_turns_too_often_is_left_out(monkeypatch):
    frames = pick_and_place().frames[:40]
    turns = np.column_stack([np.linspace(0.1, 0.9, 40), 0.5 + 0.3 * (np.arange(40) // 2 % 2)])
    track = Track(turns, np.full(40, 0.9))
    monkeypatch.setattr(video, "track_gripper", lambda *_: track)
    labelled = label_video(episode(frames, fps=15.0), "tracking")
    assert isinstance(labelled, Skipped) and "waypoints" in labelled.reason


def test_a_film_of_several_pictures_says_so():
    frames = pick_and_place().frames
    bar = np.full((len(frames), 240, 12, 3), 90, np.uint8)
    film = np.concatenate([frames, bar, frames[:, :, ::-1]], axis=2)
    assert "2 pictures in one film" in label_video(episode(film), "tracking").reason


def test_frames_after_the_hand_has_left_are_not_labelled():
    scene = pick_and_place()
    until = len(scene.uv) - 6
    labelled = label_video(episode(scene.frames), "hands", detector=Knows(scene, until))
    assert until <= len(labelled.labels) == len(labelled.episode.observations) < len(scene.frames) - 1
    assert labelled.episode.observations[-1].time_s == pytest.approx((len(labelled.labels) - 1) / 30)
    check(labelled, scene)


@pytest.mark.parametrize("method", ["auto", "hands", "tracking"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (64, 48)])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_whatever_it_shows_there_is_a_path_or_a_reason(method, size, count):
    rng = np.random.default_rng(count)
    frames = rng.integers(0, 256, (count, size[1], size[0], 3)).astype(np.uint8)
    for shown in (frames, np.zeros_like(frames)):
        found = label_video(episode(shown, click=(50, 0.2, 0.3)), method, detector=NoHands())
        assert isinstance(found, Skipped) and found.file == "a.mp4" and found.reason
    half = np.where(np.arange(count)[:, None, None, None] < count // 2, frames[:1], 255 - frames[:1]).astype(np.uint8)
    label_video(episode(half), method, detector=NoHands())


def test_what_does_not_exist_is_named():
    scene = episode(np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="auto, hands, tracking"):
        label_video(scene, "magic", detector=NoHands())
    with pytest.raises(ValueError, match="there are video"):
        label_video(scene, camera="wrist")
    with pytest.raises(ValueError, match="without frames"):
        label_video(episode([]))


def test_a_recorded_gripper_says_when():
    scene = pick_and_place()
    shown = episode(scene.frames)
    t = np.arange(len(scene.frames))
    closed = (t >= 20) & (t < 50)
    labelled = label_video(replace(shown, gripper=1.0 - closed), "tracking")
    first = labelled.labels[0]
    assert [first.frames[i] for i, _ in first.path.events] == [20, 50]


def test_without_mediapipe_it_says_once_that_it_tracks(monkeypatch, capfd):
    def missing():
        raise ValueError("pip install 'hamster-vla[hands]'")

    monkeypatch.setattr(video, "_mediapipe", missing)
    video._say_once.cache_clear()
    frames = bare_armed(pick_and_place().frames)
    for _ in range(2):
        assert label_video(episode(frames)).method.name == "tracking"
    assert capfd.readouterr().err.count("hands are not looked for") == 1


def test_without_mediapipe_it_says_so_even_where_nothing_looks_like_a_hand(monkeypatch, capfd):
    def missing():
        raise NotInstalledError("pip install 'hamster-vla[hands]'")

    monkeypatch.setattr(video, "check_installed", missing)
    video._say_once.cache_clear()
    assert label_video(episode(pick_and_place().frames)).method.name == "tracking"
    assert capfd.readouterr().err.count("hands are not looked for") == 1


def test_an_episode_without_words_is_not_labelled():
    scene = pick_and_place()
    found = label_item(replace(episode(scene.frames), instructions=["", " "]), Options(video="tracking"))
    assert isinstance(found, Skipped) and "no instruction" in found.reason
