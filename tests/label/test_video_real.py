"""Robots' videos that nobody here made: a detector of hands that is installed must not change what becomes of them."""

import pytest

from hamster.data.video_source import read_video
from hamster.label.hands.mediapipe import MediaPipeHands
from hamster.label.method import Skipped
from hamster.label.video import label_video
from tests.data.real import real_data

pytest.importorskip("cv2", reason="videos are tracked with OpenCV: pip install 'hamster-vla[data]'")
TAKEN_FOR_HANDS = ("36906660_054", "20d7e5d4_040", "bc15b34b_005", "e872bbe4_016")  # single looks find one there


@pytest.mark.parametrize("name", TAKEN_FOR_HANDS)
def test_a_robots_video_is_not_taken_for_a_persons(name):
    clip = read_video(real_data("a-droid-clips") / "clips" / f"{name}.mp4")
    try:
        detector = MediaPipeHands()
    except (ValueError, ImportError) as error:
        pytest.skip(str(error))
    auto, tracked = label_video(clip, detector=detector), label_video(clip, "tracking")
    if isinstance(tracked, Skipped):
        assert auto == tracked
    else:
        assert auto.method == tracked.method and len(auto.labels) == len(tracked.labels)


def test_a_robots_video_is_followed_or_left_out():
    folder = real_data("a-droid-clips") / "clips"
    followed = label_video(read_video(folder / "20d7e5d4_021.mp4"), "tracking")
    assert followed.method.score > 0.5
    start, end = followed.labels[0].path.uv[0], followed.labels[0].path.uv[-1]
    assert abs(start - [0.78, 0.21]).max() < 0.08 and abs(end - [0.53, 0.35]).max() < 0.08  # the gripper, by eye
    assert isinstance(label_video(read_video(folder / "36906660_054.mp4"), "tracking"), Skipped)  # it jumps to a cable
