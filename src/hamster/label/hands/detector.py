"""The interface of hand detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WRIST, THUMB_TIP, INDEX_TIP, MIDDLE_BASE = 0, 4, 8, 9  # MediaPipe's numbering, which is everybody's


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand in an image.

    Attributes:
        uv: (21, 2) landmarks relative to the image, in MediaPipe's order; they may lie outside of it.
        score: how sure the detector is, 0 to 1.
    """

    uv: NDArray[np.float64]
    score: float


class HandDetector(Protocol):
    """Finds hands in single images; `name` and `version` go into the labels."""

    name: str
    version: str

    def __call__(self, rgb: NDArray[np.uint8]) -> list[Hand]:
        """Return the hands in an image (H, W, 3), in any order."""
