from __future__ import annotations

import numpy as np
import pytest

from hamster.evaluate.video import CAPTION_PX, caption, filmstrip
from hamster.rollout import rollout
from tests.rollout.fakes import FakeEnv, FakePolicy


@pytest.mark.parametrize("width_px", [128, 256, 640])
@pytest.mark.parametrize("instruction", ["press", "x" * 3000, "", "дай 杯子 ☕\n<b>"])
def test_a_caption_fits_whatever_is_asked(instruction, width_px):
    result = rollout(FakeEnv(instruction=instruction), None, FakePolicy())
    strip = caption(result, "none", width_px, ended=True)
    assert strip.shape == (CAPTION_PX, width_px, 3)
    assert len(np.unique(strip[:, :8].reshape(-1, 3), axis=0)) == 1  # the margins stay empty
    assert len(np.unique(strip[:, -8:].reshape(-1, 3), axis=0)) == 1


def test_a_filmstrip_runs_from_the_first_frame_to_the_last():
    frames = [np.full((16, 16, 3), value, np.uint8) for value in range(0, 110, 10)]
    strip = filmstrip(frames, n=6, columns=3, tile_px=8)
    assert strip.shape == (16, 24, 3)
    assert strip[4::8, 4::8, 0].ravel().tolist() == [0, 20, 40, 60, 80, 100]
