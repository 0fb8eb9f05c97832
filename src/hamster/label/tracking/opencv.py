"""OpenCV, where it is installed: for flow and connected regions, never to read a video."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def opencv() -> Any:
    """The module, with one thread: other cores have other videos.

    Raises:
        ValueError: if it is not installed, with what to do about it.
    """
    try:
        cv2 = import_module("cv2")
    except ImportError:
        raise ValueError("videos are tracked with OpenCV: pip install 'hamster-vla[data]'") from None
    cv2.setNumThreads(1)
    return cv2
