from __future__ import annotations

import av
import numpy as np
import pytest

from hamster.evaluate.video import CAPTION_PX, SIDE_PX, caption, drawn_frames, encode, filmstrip
from hamster.rollout import rollout
from tests.rollout.fakes import FakeEnv, FakePlanner, FakePolicy


def test_an_encoded_film_shows_what_went_in(tmp_path):
    levels = [20, 90, 160, 230]
    encode(tmp_path / "a.mp4", [np.full((64, 96, 3), level, np.uint8) for level in levels], 5)
    with av.open(str(tmp_path / "a.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 5
    assert [frame.shape for frame in shown] == [(64, 96, 3)] * 4
    assert np.allclose([frame.mean() for frame in shown], levels, atol=4)


def test_a_film_that_fails_leaves_no_half_a_file(tmp_path):
    frames = [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)]
    with pytest.raises(ValueError, match="ndim"):
        encode(tmp_path / "a.mp4", frames, 5)
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_drawn_on_every_frame_that_had_one():
    with_path = drawn_frames(rollout(FakeEnv(), FakePlanner(), FakePolicy()))
    without = drawn_frames(rollout(FakeEnv(), None, FakePolicy()))
    assert len(with_path) == len(without)
    for drawn, plain in zip(with_path, without, strict=True):
        assert drawn.shape == (SIDE_PX, SIDE_PX, 3) and len(np.unique(plain)) == 1
        assert 0.005 < (drawn != plain).any(-1).mean() < 0.2


@pytest.mark.parametrize("instruction", ["press", "x" * 3000, "", "дай 杯子 ☕\n<b>"])
def test_a_caption_fits_whatever_is_asked(instruction):
    result = rollout(FakeEnv(instruction=instruction), None, FakePolicy())
    strip = caption(result, "none", SIDE_PX, ended=True)
    assert strip.shape == (CAPTION_PX, SIDE_PX, 3)
    assert len(np.unique(strip[:, :8].reshape(-1, 3), axis=0)) == 1  # the margins stay empty
    assert len(np.unique(strip[:, -8:].reshape(-1, 3), axis=0)) == 1


def test_a_filmstrip_runs_from_the_first_frame_to_the_last():
    frames = [np.full((16, 16, 3), value, np.uint8) for value in range(0, 110, 10)]
    strip = filmstrip(frames, n=6, columns=3, side_px=8)
    assert strip.shape == (16, 24, 3)
    assert strip[4::8, 4::8, 0].ravel().tolist() == [0, 20, 40, 60, 80, 100]
