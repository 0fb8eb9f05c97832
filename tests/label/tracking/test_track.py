import numpy as np
import pytest

from hamster.label.track2d import Track
from hamster.label.tracking.clip import read_clip
from hamster.label.tracking.fuse import fuse
from hamster.label.tracking.track import track_gripper
from hamster.path import Gripper
from tests.label.tracking.drawn import pick_and_place

pytest.importorskip("cv2", reason="videos are tracked with OpenCV: pip install 'hamster-vla[data]'")
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


def test_another_tracker_can_be_plugged_in():
    class Follows:
        """As exact as a neural one wants to be: it knows the scene."""

        name, version, stretch_s = "stand-in", "1", 2.0
        calls = 0

        def __call__(self, rgb, px):
            self.calls += 1
            assert px.ndim == 2 and (px >= 0).all() and (px < [rgb.shape[2], rgb.shape[1]]).all()
            return np.repeat(px[None], len(rgb), 0), np.zeros((len(rgb), len(px)), bool)

    scene, tracker = pick_and_place(), Follows()
    track = track_gripper(read_clip(scene.frames, scene.fps), tracker)
    assert tracker.calls == 2 and isinstance(track, Track)  # it loses every point: silhouettes alone say where


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
