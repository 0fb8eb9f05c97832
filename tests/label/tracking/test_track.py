import numpy as np
import pytest

from hamster.label.track2d import Track
from hamster.label.tracking.clip import read_clip
from hamster.label.tracking.fuse import fuse
from hamster.label.tracking.track import track_gripper
from hamster.path import Gripper
from tests.label.tracking.drawn import draw, pick_and_place

pytest.importorskip("cv2", reason="videos are tracked with OpenCV: the extra `data`")
from hamster.label.tracking.points import LucasKanade


def tracked(scene, **options):
    return track_gripper(read_clip(scene.frames, scene.fps), LucasKanade(), **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"seed": 1, "source": (0.6, 0.8), "goal": (0.2, 0.5)}, {"fps": 10.0}, {"fps": 5.0, "rest": 2}],
)
def test_a_gripper_that_picks_and_places(options):
    scene = pick_and_place(**options)
    track = tracked(scene)
    assert [state for _, state in track.events] == [Gripper.CLOSED, Gripper.OPEN]
    for (frame, _), (truth, _) in zip(track.events, scene.events, strict=True):
        assert abs(frame - truth) <= 2
        assert np.linalg.norm(track.uv[frame] - scene.uv[truth]) < 0.035
    assert np.linalg.norm(track.uv - scene.uv, axis=-1).mean() < 0.02


def test_what_is_taken_and_kept_is_not_released():
    assert [state for _, state in tracked(pick_and_place(releases=False)).events] == [Gripper.CLOSED]


def test_a_gripper_that_takes_nothing_has_no_events():
    track = tracked(pick_and_place(takes=False))
    assert list(track.events) == [] and len(track.uv) == len(pick_and_place(takes=False).uv)


def test_a_click_says_which_point_is_meant():
    scene = pick_and_place()
    knuckle = scene.uv - [0.0, 0.075]
    track = tracked(scene, click=(12, *knuckle[12]))
    assert np.linalg.norm(track.uv - knuckle, axis=-1).mean() < 0.025


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.full((20, 48, 64, 3), 90, np.uint8), "nothing moves"),
        (np.full((3, 48, 64, 3), 90, np.uint8), "at least"),
        (np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8), "camera moves"),
    ],
)
def test_nothing_to_follow_is_said_to_be_so(frames, reason):
    assert reason in track_gripper(read_clip(frames, 30), LucasKanade())


class Follows:
    """As exact as a neural one wants to be: it knows by how much the tip moves, or believes so."""

    name, version, stretch_s = "stand-in", "1", 1000.0

    def __init__(self, uv, known=True):
        self.uv, self.known = uv, known

    def __call__(self, rgb, px):
        assert px.ndim == 2 and (px >= 0).all() and (px < [rgb.shape[2], rgb.shape[1]]).all()
        uv = self.uv[-len(rgb) :] * [rgb.shape[2], rgb.shape[1]]
        return px + (uv - uv[0])[:, None], np.full((len(rgb), len(px)), self.known)


def test_another_tracker_can_be_plugged_in():
    scene = pick_and_place()
    track = track_gripper(read_clip(scene.frames, scene.fps), Follows(scene.uv))
    assert isinstance(track, Track) and np.linalg.norm(track.uv - scene.uv, axis=-1).mean() < 0.02


@pytest.mark.parametrize(
    ("tracker", "reason"),
    [
        (Follows(np.zeros((1000, 2))), "disagree"),  # they stick to the background
        (Follows(np.zeros((1000, 2)), known=False), "no points are followed"),
        (Follows(np.cumsum(np.tile([[0.02, 0], [-0.02, 0]], (500, 1)).repeat(3, 0), 0)), "disagree"),
    ],
)
def test_what_silhouettes_alone_say_is_no_label(tracker, reason):
    scene = pick_and_place()
    assert reason in track_gripper(read_clip(scene.frames, scene.fps), tracker)


def arm_scene(uv, size=(320, 240), square=(0.9, 0.9)):
    return np.stack([draw(tip, square, size, 0) for tip in uv])


def test_an_arm_that_comes_late_has_no_label_before():
    scene = pick_and_place()
    empty = np.repeat(np.median(scene.frames, axis=0).astype(np.uint8)[None], 20, 0)
    empty[:, 170:185, 90:105] = scene.frames[0, 170:185, 90:105]
    empty[4:7, 60:66, 250:256] = 255  # something flickers
    frames = np.concatenate([empty, scene.frames])
    track = track_gripper(read_clip(frames, scene.fps), LucasKanade())
    assert (track.score[:20] == 0).all() and (track.score[24:] > 0).all()
    assert np.linalg.norm(track.uv[24:] - scene.uv[4:], axis=-1).mean() < 0.02


def test_an_arm_that_rests_at_first_has_a_label_from_the_first_frame_on():
    scene = pick_and_place()
    frames = np.concatenate([np.repeat(scene.frames[:1], 15, 0), scene.frames])
    track = track_gripper(read_clip(frames, scene.fps), LucasKanade())
    assert (track.score > 0).all() and np.linalg.norm(track.uv[0] - scene.uv[0]) < 0.04


@pytest.mark.parametrize("fps", [5.0, 15.0, 30.0])
def test_a_tip_that_jumps_to_and_fro_is_not_followed(fps):
    places = np.array([[0.3, 0.4], [0.6, 0.7]])[np.arange(int(4 * fps)) // max(2, int(0.4 * fps)) % 2]
    places = places + np.linspace(0, 0.05, len(places))[:, None]
    assert isinstance(track_gripper(read_clip(arm_scene(places), fps), LucasKanade()), str)


def test_an_arm_that_comes_in_over_two_sides_has_no_known_end():
    scene = pick_and_place()
    frames = scene.frames.copy()
    frames[:, 40:60] = (235, 235, 240)  # a beam through the picture that moves with it
    for t, rgb in enumerate(frames):
        rgb[40 + 8 * (t % 2) : 60 + 8 * (t % 2)] = (20, 20, 200)
    assert "several sides" in track_gripper(read_clip(frames, scene.fps), LucasKanade())


def test_what_fills_the_image_is_too_near():
    uv = np.column_stack([np.linspace(0.3, 0.7, 60), np.full(60, 0.8)])
    frames = np.full((60, 120, 160, 3), 120, np.uint8)
    for rgb, (u, _) in zip(frames, uv, strict=True):
        left = int(u * 160) - 45
        rgb[:100, left : left + 90] = np.random.default_rng(1).integers(180, 255, (100, 90, 1))
    assert "too near" in track_gripper(read_clip(frames, 30), LucasKanade())


def test_points_are_followed_and_lost_ones_are_known():
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (30, 40), np.uint8), np.ones((4, 4), np.uint8))
    frames = np.stack([np.roll(picture, (t, 2 * t), (0, 1)) for t in range(6)])
    where, known = LucasKanade()(np.repeat(frames[..., None], 3, -1), np.array([[60.0, 50.0], [80.0, 70.0]]))
    np.testing.assert_allclose(where[-1], [[70, 55], [90, 75]], atol=0.3)
    assert known.all()
    gone = np.repeat(frames[..., None], 3, -1).copy()
    gone[3:] = rng.integers(0, 255, gone[3:].shape, np.uint8)
    _, known = LucasKanade()(gone, np.array([[60.0, 50.0]]))
    assert known[:3].all() and not known[-1].any()


def test_places_and_steps_are_fused_and_mistakes_discounted():
    truth = np.column_stack([np.linspace(0, 60, 61), np.zeros(61)])
    places = truth + np.random.default_rng(0).normal(0, 1, truth.shape)
    places[20] += 40
    weight = np.full(61, 0.1)
    weight[30:40] = 0
    x, agree = fuse(places, weight, np.diff(truth, axis=0), np.ones(60), 5.0)
    assert np.linalg.norm(x - truth, axis=-1).max() < 1.5
    assert agree[20] < 0.1 < 0.6 < np.median(agree[:20]) and (agree[30:40] == 0).all()
