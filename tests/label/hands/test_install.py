import sys

import pytest

from hamster.label.hands import mediapipe
from hamster.label.tracking import opencv


@pytest.fixture
def nothing_installed(monkeypatch):
    """Neither package can be imported; what was imported before is forgotten, and found again afterwards."""
    for cached in (mediapipe._solution, opencv.opencv):
        cached.cache_clear()
    for name in ("cv2", "mediapipe", "mediapipe.python.solutions.hands"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(mediapipe, "_version", lambda: "0")
    yield
    for cached in (mediapipe._solution, opencv.opencv):
        cached.cache_clear()


def test_what_is_missing_is_named(nothing_installed):
    with pytest.raises(ValueError, match=r"pip install 'hamster-vla\[hands\]'"):
        mediapipe.MediaPipeHands()
    with pytest.raises(ValueError, match=r"pip install 'hamster-vla\[data\]'"):
        opencv.opencv()
