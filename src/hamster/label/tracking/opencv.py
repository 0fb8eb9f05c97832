"""Import OpenCV where it is installed: for flow and connected regions, never to read a video."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from hamster.extras import extra


@cache
def opencv() -> Any:
    """Return the module, with one thread: other cores have other videos.

    Raises:
        NotInstalledError: if it is not installed, with what installs it.
    """
    with extra("data"):
        cv2 = import_module("cv2")
    cv2.setNumThreads(1)
    return cv2
