import re
import sys

import pytest

from hamster.extras import NotInstalledError, install_extra
from hamster.label.hands import mediapipe
from hamster.label.tracking import opencv


@pytest.fixture
def nothing_installed(monkeypatch):
    """Neither package can be imported; what was imported before is forgotten, and found again afterwards."""
    opencv.opencv.cache_clear()
    for name in ("cv2", "mediapipe", "mediapipe.python.solutions.hands"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(mediapipe, "_version", lambda: "0")
    yield
    opencv.opencv.cache_clear()


def test_what_is_missing_is_named(nothing_installed):
    with pytest.raises(NotInstalledError, match=re.escape(install_extra("hands"))):
        mediapipe.MediaPipeHands()
    with pytest.raises(NotInstalledError, match=re.escape(install_extra("data"))):
        opencv.opencv()
