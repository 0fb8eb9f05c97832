import numpy as np
import pytest

from hamster.data.images import read_image
from hamster.label.hands.detector import INDEX_TIP, THUMB_TIP, WRIST
from hamster.label.hands.mediapipe import MediaPipeHands
from tests.data.real import real_data


@pytest.fixture(scope="module")
def detector():
    try:
        return MediaPipeHands()
    except (ValueError, ImportError) as error:
        pytest.skip(str(error))


def test_an_image_without_hands_has_none(detector):
    assert detector(np.full((120, 160, 3), 128, np.uint8)) == []


def test_hands_in_photographs(detector):
    pictures = sorted(real_data("c-hand-stills-hamer").glob("*.jpg"))
    for file in pictures:
        hands = detector(read_image(file))
        assert hands
        for hand in hands:
            assert hand.uv.shape == (21, 2) and 0.5 <= hand.score <= 1
            assert np.linalg.norm(hand.uv[WRIST] - (hand.uv[THUMB_TIP] + hand.uv[INDEX_TIP]) / 2) > 0.02
