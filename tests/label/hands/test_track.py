import numpy as np
import pytest

from hamster.label.hands import events
from hamster.label.hands.detector import Hand
from hamster.label.hands.events import aperture_events
from hamster.label.hands.frame_difference import FrameDifference
from hamster.label.hands.motion import Motion, fill_and_smooth, follow
from hamster.label.hands.regions import best_region, panels, regions
from hamster.label.hands.track import NO_HAND, track_hand
from hamster.label.tracking.clip import read_clip
from hamster.path import Gripper
from tests.label.tracking.drawn import pick_and_place

pytest.importorskip("cv2", reason="videos are tracked with OpenCV: the extra `data`")
SIZE = np.array([320.0, 240.0])


def hand_at(tip, aperture=0.6, palm=0.1, score=0.9):
    """Landmarks as MediaPipe gives them: the wrist above the tip, thumb and index finger at its sides."""
    uv = np.tile(np.asarray(tip, float), (21, 1)) - [0, palm]
    uv[0] = np.asarray(tip) - [0, 2 * palm]
    uv[9] = np.asarray(tip) - [0, palm]
    uv[4] = np.asarray(tip) - [aperture * palm * 0.75 / 2, 0]
    uv[8] = np.asarray(tip) - [-aperture * palm * 0.75 / 2, 0]
    return Hand(uv, score)


def sights(scene, lost=()):
    return [[] if t in lost else [hand_at(uv)] for t, uv in enumerate(scene.uv)]


def test_a_person_who_picks_and_places():
    scene = pick_and_place()
    found = sights(scene, lost=(7, 8, 33))
    found[20] = [hand_at((0.9, 0.1))]  # a mistake, far from everything
    track = track_hand(read_clip(scene.frames, scene.fps), found)
    assert [state for _, state in track.events] == [Gripper.CLOSED, Gripper.OPEN]
    for (frame, _), (truth, _) in zip(track.events, scene.events, strict=True):
        assert abs(frame - truth) <= 3 and np.linalg.norm(track.uv[frame] - scene.uv[truth]) < 0.03
    assert np.linalg.norm(track.uv - scene.uv, axis=-1).max() < 0.03
    assert track.score[7] == pytest.approx(0.45) and track.score[12] == pytest.approx(0.9)


def test_a_hand_that_leaves_has_no_score_from_there_on():
    scene = pick_and_place()
    last = len(scene.uv) - 5
    track = track_hand(read_clip(scene.frames, scene.fps), sights(scene, lost=range(last, len(scene.uv))))
    assert (track.score[last + 1 :] == 0).all() and (track.score[:last] > 0).all()


@pytest.mark.parametrize(
    ("options", "lost", "reason"),
    [({}, range(1000), "a hand in 0 of"), ({}, range(2, 1000), "a hand in 2 of")],
)
def test_too_little_evidence_gives_a_reason(options, lost, reason):
    scene = pick_and_place(**options)
    assert reason in track_hand(read_clip(scene.frames, scene.fps), sights(scene, lost))


def test_a_hand_that_takes_nothing_has_a_path_without_events():
    scene = pick_and_place(takes=False)
    track = track_hand(read_clip(scene.frames, scene.fps), sights(scene))
    assert list(track.events) == [] and np.linalg.norm(track.uv - scene.uv, axis=-1).max() < 0.03


def test_what_is_found_where_nothing_moves_is_no_hand():
    scene = pick_and_place()
    still = [[hand_at((0.9, 0.8))] for _ in scene.uv]
    wandering = [[hand_at((0.85 + 0.1 * np.sin(t / 5), 0.9 - 0.1 * np.cos(t / 7)))] for t in range(len(scene.uv))]
    for found in (still, wandering):
        assert track_hand(read_clip(scene.frames, scene.fps), found).startswith(NO_HAND)


def test_a_second_hand_at_work_is_not_taken_for_the_first():
    scene = pick_and_place()
    other = 1 - 0.8 * scene.uv[::-1]
    clip = read_clip(scene.frames, scene.fps)
    assert "two hands" in track_hand(clip, [[hand_at(a), hand_at(b)] for a, b in zip(scene.uv, other, strict=True)])
    apart = [[hand_at(uv)] if t < 30 else [hand_at((0.05, 0.95))] for t, uv in enumerate(scene.uv)]
    motion = follow(apart, SIZE, 30)
    assert np.linalg.norm(motion.tip_px / SIZE - (0.05, 0.95), axis=-1).min() > 0.2  # it is not the same hand


def test_a_thing_that_was_there_all_the_time_is_not_grasped_at_the_start():
    scene = pick_and_place()
    late = 33  # the clip begins with the square in the hand, halfway to where it is put
    track = track_hand(read_clip(scene.frames[late:], scene.fps), sights(scene)[late:])
    assert isinstance(track, str) and "not seen to be taken" in track


def test_what_is_moved_twice_is_more_than_one_thing(monkeypatch):
    scene = pick_and_place()
    places = [(15, (30.0, 70.0)), (40, (90.0, 60.0)), (55, (30.0, 20.0))]
    moments = [events.Moment(t, t + 2, np.array(px), 1.0, np.array([0]), 0.2) for t, px in places]
    monkeypatch.setattr(events, "find_moments", lambda *_: moments)
    assert "more than one" in track_hand(read_clip(scene.frames, scene.fps), sights(scene))


def turned_at_one_place(away_palms):
    """What is said of a thing that has other colours after a hand was there, which then is so far away."""
    total, palm, middle = 12, 20.0, np.array([60.0, 60.0])
    colours = np.array([[200, 40, 40], [40, 40, 200]], np.float32)
    near = np.zeros((2, total), bool)
    near[:, 3:8] = True
    found = FrameDifference(
        np.array([[58.0, 60.0], [62.0, 60.0]]), np.array([4, 4]), np.array([5, 5]), near, np.full(total, 9),
        colours, colours[::-1], np.full((2, 3), 120, np.float32),
    )  # fmt: skip
    tip = np.tile(middle, (total, 1))
    tip[:3] = tip[8:] = middle - [0, away_palms * palm]
    every = np.ones(total, bool)
    landmarks = np.repeat(tip[:, None], 21, 1)
    motion = Motion(tip, np.ones(total), palm, every, np.ones(total), landmarks, every)
    signs = events._at_one_place(found, [events.Moment(4, 5, middle, 1.0, np.array([0, 1]), 0.2)], motion)
    return signs if isinstance(signs, str) else [sign.event[1] for sign in signs]


def test_a_release_needs_a_hand_that_leaves():
    assert turned_at_one_place(away_palms=4) == [Gripper.CLOSED, Gripper.OPEN]
    lifted_a_little = turned_at_one_place(away_palms=2)
    assert isinstance(lifted_a_little, str) or Gripper.OPEN not in lifted_a_little


def test_of_two_hands_the_one_that_moves_counts():
    scene = pick_and_place()
    found = [[hand_at((0.1, 0.9)), hand_at(uv)] for uv in scene.uv]
    motion = follow(found, SIZE, 30)
    assert np.linalg.norm(motion.tip_px / SIZE - scene.uv, axis=-1).max() < 0.03


def test_smoothing_does_not_lag():
    t = np.arange(60)
    values = np.column_stack([np.sin(t / 15), np.cos(t / 15)])
    noisy = values + np.random.default_rng(0).normal(0, 0.02, values.shape)
    smooth = fill_and_smooth(noisy, t, 60, 30)
    assert np.abs(smooth - values).mean() < 0.7 * np.abs(noisy - values).mean()
    lags = [np.abs(smooth[5 + k : 50 + k] - values[5:50]).sum() for k in range(-3, 4)]
    assert int(np.argmin(lags)) == 3


@pytest.mark.parametrize("spike", [0.0, 3.0])
def test_fingers_close_and_open_at_percentiles(spike):
    aperture = np.r_[np.full(20, 1.2), np.linspace(1.2, 0.3, 5), np.full(20, 0.3), np.linspace(0.3, 1.2, 5), np.ones(9)]
    aperture[3] += spike
    events = aperture_events(aperture, np.ones(len(aperture), bool))
    assert [state for _, state in events] == [Gripper.CLOSED, Gripper.OPEN]
    assert 20 <= events[0][0] <= 25 and 45 <= events[1][0] <= 50
    assert aperture_events(np.full(30, 0.8), np.ones(30, bool)) == []


def test_small_hands_are_looked_for_close_up():
    class Sees:
        """Finds the bright patch if it takes up enough of what it is given, as a detector that shrinks does."""

        name, version = "stand-in", "1"

        def __call__(self, rgb):
            v, u = np.nonzero(rgb[..., 0] > 200)
            if len(u) < 0.004 * rgb.shape[0] * rgb.shape[1]:
                return []
            return [hand_at(np.array([u.mean(), v.mean()]) / [rgb.shape[1], rgb.shape[0]])]

    pictures = [np.zeros((300, 900, 3), np.uint8) for _ in range(4)]
    for i, rgb in enumerate(pictures):
        rgb[100:130, 700 + 10 * i : 730 + 10 * i] = 255
    box, share = best_region(pictures, Sees())
    assert share == 1 and box[0] <= 700 and box[2] >= 760 and box != (0, 0, 900, 300)
    assert regions(640, 480)[0] == [(0, 0, 640, 480)]
    for level in regions(1000, 300):
        assert all(0 <= left < right <= 1000 and 0 <= top < bottom <= 300 for left, top, right, bottom in level)


def test_pictures_side_by_side_are_told_apart():
    rng = np.random.default_rng(0)
    film = [np.full((120, 400, 3), (90, 180, 250), np.uint8) for _ in range(3)]
    for rgb in film:
        rgb[:, 200:] = (250, 150, 140)
        for left in (8, 208):
            rgb[6:114, left : left + 184] = rng.integers(0, 255, (108, 184, 3))
    assert panels(film) == [(8, 6, 192, 114), (208, 6, 392, 114)]
    assert panels([rgb[6:114, 8:192] for rgb in film]) == [(0, 0, 184, 108)]


def stretched(scene, every):
    """As if filmed at a few frames a second, each shown several times: what a web page makes of a video."""
    keep = np.arange(0, len(scene.uv), every).repeat(2)
    return keep, scene.frames[keep]


@pytest.mark.parametrize("change", ["mirrored", "dark", "small", "few frames"])
def test_the_same_events_however_it_was_filmed(change):
    scene = pick_and_place()
    frames, uv, keep = scene.frames, scene.uv, np.arange(len(scene.uv))
    if change == "mirrored":
        frames, uv = frames[:, :, ::-1], uv * [-1, 1] + [1, 0]
    if change == "dark":
        frames = (frames * 0.3).astype(np.uint8)
    if change == "small":
        frames = frames[:, ::2, ::2]
    if change == "few frames":
        keep, frames = stretched(scene, 5)
        uv = uv[keep]
    track = track_hand(read_clip(frames, 10.0), [[hand_at(tip)] for tip in uv])
    assert [state for _, state in track.events] == [Gripper.CLOSED, Gripper.OPEN]
    for (frame, _), (truth, _) in zip(track.events, scene.events, strict=True):
        at = scene.uv[truth] * ([-1, 1] if change == "mirrored" else [1, 1]) + ([1, 0] if change == "mirrored" else 0)
        assert np.linalg.norm(track.uv[frame] - at) < 0.06


def test_what_is_larger_than_a_hand_is_pushed():
    scene = pick_and_place(takes=False)
    frames, last = scene.frames.copy(), int(np.argmax(scene.uv[:, 0]))
    for t, rgb in enumerate(frames):
        table = rgb[95:, 120:, :1] > 150
        rgb[95:, 120:] = np.where(table, (30, 60, 160) if t < last else (200, 190, 60), rgb[95:, 120:])
    track = track_hand(read_clip(frames, scene.fps), sights(scene))
    assert list(track.events) == []
