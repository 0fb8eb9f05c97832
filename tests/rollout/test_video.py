from __future__ import annotations

import av
import numpy as np
import pytest

from hamster.rollout import rollout
from hamster.rollout.video import encode, scaled
from tests.rollout.fakes import FakeEnv, FakePlanner, FakePolicy


def test_an_encoded_film_shows_what_went_in(tmp_path):
    levels = [20, 90, 160, 230]
    encode(tmp_path / "a.mp4", [np.full((64, 96, 3), level, np.uint8) for level in levels], 5)
    with av.open(str(tmp_path / "a.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 5
    assert [frame.shape for frame in shown] == [(64, 96, 3)] * 4
    assert np.allclose([frame.mean() for frame in shown], levels, atol=4)


def test_odd_sides_gain_a_row_or_a_column(tmp_path):
    encode(tmp_path / "a.mp4", [np.full((65, 97, 3), 90, np.uint8)], 5)
    with av.open(str(tmp_path / "a.mp4")) as video:
        (shown,) = (frame.to_ndarray(format="rgb24") for frame in video.decode(video=0))
    assert shown.shape == (66, 98, 3) and np.allclose(shown, 90, atol=4)


def test_scaling_keeps_the_proportions():
    assert scaled(np.zeros((48, 64, 3), np.uint8), 32).shape == (24, 32, 3)
    assert scaled(np.zeros((1, 64, 3), np.uint8), 32).shape == (1, 32, 3)


def test_a_film_that_fails_leaves_no_half_a_file(tmp_path):
    frames = [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)]
    with pytest.raises(ValueError, match="ndim"):
        encode(tmp_path / "a.mp4", frames, 5)
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_drawn_on_every_frame_that_had_one():
    with_path = rollout(FakeEnv(), FakePlanner(), FakePolicy()).video.drawn()
    without = rollout(FakeEnv(), None, FakePolicy()).video.drawn()
    assert len(with_path) == len(without)
    for drawn, plain in zip(with_path, without, strict=True):
        assert drawn.shape == plain.shape == (32, 32, 3) and len(np.unique(plain)) == 1
        assert 0.02 < (drawn != plain).any(-1).mean() < 0.4


def test_a_video_is_saved_with_its_path(tmp_path):
    video = rollout(FakeEnv(), FakePlanner(), FakePolicy()).video
    with av.open(str(video.save(tmp_path / "a.mp4", width_px=128))) as stored:
        shown = [frame.to_ndarray(format="rgb24") for frame in stored.decode(video=0)]
    assert len(shown) == len(video.frames) and shown[0].shape == (128, 128, 3)
    assert shown[0].std() > 1  # the frames of the camera are of one colour


def test_what_cannot_be_saved_is_said(tmp_path):
    video = rollout(FakeEnv(), None, FakePolicy(), video_every=0).video
    with pytest.raises(ValueError, match="video_every > 0"):
        video.save(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"as \.mp4"):
        video.save(tmp_path / "a.avi")
