import numpy as np
import pytest

from hamster.label.tracking.stretch import steady_stretch

ALL = np.ones(100, bool)
LINE = np.column_stack([np.linspace(0, 60, 100), np.full(100, 50.0)])


def test_a_motion_without_a_break_is_taken_whole():
    assert steady_stretch(LINE, ALL, 128, 30) == (0, 99)
    assert steady_stretch(LINE, (np.arange(100) > 30) & (np.arange(100) < 90), 128, 30) == (31, 89)


@pytest.mark.parametrize("fps", [3.0, 15.0, 30.0])
def test_a_quarter_of_the_image_from_one_frame_to_the_next_is_a_teleport(fps):
    px = LINE + np.where(np.arange(100) < 50, 0, 33)[:, None] * [0, 1]
    assert "jumps" in steady_stretch(px, ALL, 128, fps)
    early = LINE + np.where(np.arange(100) < 12, 0, 33)[:, None] * [0, 1]
    assert steady_stretch(early, ALL, 128, fps) == (12, 99)


def test_the_limit_is_of_speed():
    px = LINE + np.where(np.arange(100) < 50, 0, 15)[:, None] * [0, 1]
    assert steady_stretch(px, ALL, 128, 15) == (0, 99)
    assert "jumps" in steady_stretch(px, ALL, 128, 30)


def test_who_was_out_of_view_may_have_been_anywhere():
    away = ALL.copy()
    away[50:54] = False
    assert steady_stretch(LINE, away, 128, 10) == (0, 99)
    away[50:60] = False
    assert "leaves the view" in steady_stretch(LINE, away, 128, 10)


def test_an_end_that_is_cut_off_is_no_end():
    px = LINE + np.where(np.arange(100) < 80, 0, 60)[:, None] * [0, 1]
    assert isinstance(steady_stretch(px, ALL, 128, 30), str)
    assert steady_stretch(LINE, ~ALL, 128, 30) == "no arm is seen"
