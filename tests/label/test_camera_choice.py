from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, View
from hamster.geometry import Camera, look_at, pose
from hamster.label import video
from hamster.label.camera_choice import choose_camera, named
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Options, label_item
from hamster.label.method import LabelMethod
from hamster.label.track2d import Track, paths_from_track

STEPS = 12
LENS = np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
TOOLS = np.stack([pose(tip) for tip in np.linspace([0.3, -0.15, 0.1], [0.5, 0.15, 0.3], STEPS)])
FRONT = Camera(LENS, look_at([1.3, 0, 0.8], [0.4, 0, 0.1]), 64, 48)
NARROW = Camera(LENS * [[8, 1, 1], [1, 8, 1], [1, 1, 1]], look_at([1.3, 0, 0.8], TOOLS[0, :3, 3]), 64, 48)


def rgb(t, speed=1):
    ground = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    ground[10:20, 4 + t * speed : 12 + t * speed] = 255
    return np.repeat(ground[..., None], 3, 2)


def standing(camera=None):
    return [View(rgb(t), None, camera) for t in range(STEPS)]


def on_hand(calibrated=True):
    offset = pose([0, 0, -0.15])
    return [View(rgb(t), None, Camera(LENS, TOOLS[t] @ offset, 64, 48) if calibrated else None) for t in range(STEPS)]


def episode(**views):
    frames = [Observation({n: v[t] for n, v in views.items()}, TOOLS[t], 1.0, t / 10) for t in range(STEPS)]
    return Episode(["go"], frames, Provenance("test:"), TOOLS, np.r_[np.ones(6), np.zeros(6)])


def test_the_only_camera_needs_no_note():
    assert choose_camera(episode(a=standing(FRONT))).note == ""


def test_a_calibrated_camera_comes_before_one_that_is_not_and_that_is_said():
    choice = choose_camera(episode(side=standing(), wrist=on_hand()))
    assert choice.name == "wrist" and choice.projects
    choice = choose_camera(episode(wrist=on_hand(calibrated=False), front=standing(FRONT)))
    assert choice.name == "front" and choice.projects
    assert choice.note == "camera front (calibrated, in the scene) of wrist, front"


@pytest.mark.parametrize("name", ["cam_wrist", "robot0_eye_in_hand", "gripper_cam", "image_hand", "wristcam"])
def test_a_camera_on_the_hand_is_known_by_its_name(name):
    assert choose_camera(episode(**{name: standing(), "b": standing()})).name == "b"
    assert choose_camera(episode(**{name: standing()})).name == name


@pytest.mark.parametrize("name", ["handle_side", "left", "exterior_1_left", "agentview", "overhand"])
def test_other_names_mean_nothing(name):
    assert choose_camera(episode(**{name: standing(), "b": standing()})).name == name


def test_a_camera_on_the_hand_is_known_by_its_motion():
    assert choose_camera(episode(cam_0=on_hand(), cam_1=standing(FRONT))).name == "cam_1"
    assert choose_camera(episode(hand_side=standing(FRONT), cam_1=on_hand())).name == "hand_side"


def shaken(camera=None):
    noise = np.random.default_rng(0)
    return [View(noise.integers(0, 255, (48, 64, 3)).astype(np.uint8), None, camera) for _ in range(STEPS)]


@pytest.mark.parametrize("name", ["wrist", "robot0_eye_in_hand", "hand_camera"])
def test_a_name_wins_over_a_constant_pose_and_that_is_said(name):
    choice = choose_camera(episode(**{name: standing(FRONT), "side": standing(FRONT)}))
    assert choice.name == "side" and choice.assumed == ""
    only = choose_camera(episode(**{name: standing(FRONT)}))
    assert only.projects and f"camera {name}: its name says that it is on the hand" in only.assumed
    labelled = label_item(episode(**{name: standing(FRONT)}), Options())
    assert labelled.method.notes == (only.assumed,)


def test_an_image_that_moves_as_a_whole_wins_over_a_constant_pose_and_that_is_said():
    assert choose_camera(episode(cam_0=shaken(FRONT), cam_1=standing(FRONT))).name == "cam_1"
    assert choose_camera(episode(cam_0=shaken(FRONT), wrist=standing(FRONT))).name == "wrist"
    assumed = choose_camera(episode(cam_0=shaken(FRONT))).assumed
    assert "its image moves as that of a camera on the hand" in assumed and "world_from_camera per frame" in assumed


def test_a_camera_on_the_hand_is_known_by_images_in_which_everything_moves():
    assert choose_camera(episode(cam_0=shaken(), cam_1=standing())).name == "cam_1"


def test_the_view_in_which_the_tool_is_longest_comes_first():
    assert choose_camera(episode(near=standing(NARROW), front=standing(FRONT))).name == "front"
    assert choose_camera(episode(b=standing(FRONT), a=standing(FRONT))).name == "b"


def test_a_camera_without_a_picture_is_not_chosen():
    black = [View(np.zeros((48, 64, 3), np.uint8), None, FRONT)] * STEPS
    assert choose_camera(episode(front=black, side=standing())).name == "side"
    choice = choose_camera(episode(front=black))
    assert choice.colour == "black"


def test_a_camera_may_be_named_in_short_or_in_full():
    views = ["cam_wrist", "front", "front_left"]
    assert [named(name, views) for name in ("wrist", "front", "observation.images.front_left", "left")] == [
        "cam_wrist", "front", "front_left", "front_left"
    ]  # fmt: skip
    with pytest.raises(
        ValueError, match="no camera 'frnt'; there are cam_wrist, front, front_left; did you mean 'front'"
    ):
        named("frnt", views)
    with pytest.raises(ValueError, match="may be any of a_left, b_left"):
        named("left", ["a_left", "b_left"])


def test_labels_say_which_camera_was_taken():
    both = episode(cam_wrist=on_hand(calibrated=False), front=standing(FRONT))
    labelled = label_item(both, Options())
    assert labelled.camera == "front" and labelled.method.name == "projection"
    assert labelled.method.to_json()["notes"] == ("camera front (calibrated, in the scene) of cam_wrist, front",)
    first = label_item(episode(front=standing(FRONT), cam_wrist=on_hand()), Options())
    assert first.camera == "front" and "notes" not in first.method.to_json()
    assert label_item(both, Options(camera="observation.images.front")).camera == "front"


def test_a_robot_without_a_calibration_is_tracked_and_the_label_says_so(monkeypatch):
    taken = []

    def track(episode, method, camera, epsilon):
        taken.append((camera, len(episode.observations), len(episode.tool_poses_world)))
        uv = np.linspace([0.2, 0.2], [0.8, 0.5], len(episode.observations))
        labels = paths_from_track(Track(uv, np.ones(len(uv))), epsilon)
        return LabelledEpisode(episode, camera, labels, "", LabelMethod("tracking", 0.9))

    monkeypatch.setattr(video, "label_video", track)
    shorter = episode(cam_wrist=on_hand(calibrated=False), front=standing())
    frames = [replace(o, views={"cam_wrist": o.views["cam_wrist"]}) if i > 9 else o
              for i, o in enumerate(shorter.observations)]  # fmt: skip
    followed = label_item(replace(shorter, observations=frames), Options())
    assert taken == [("front", 10, 10)] and followed.left_out == {"without_image": 2}
    assert followed.method.notes == (
        "camera front (not calibrated, in the scene) of cam_wrist, front",
        "tracked although the tool's poses are recorded, since no calibration is known: camera front",
    )
